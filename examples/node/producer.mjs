import amqp from "amqplib";

const [taskId, text] = process.argv.slice(2);
const connection = await amqp.connect(process.env.AMQP_URL ?? "amqp://localhost");
const channel = await connection.createConfirmChannel();
const body = Buffer.from(JSON.stringify({ task_id: taskId, text }));
const options = { persistent: true, mandatory: true, messageId: `${taskId}-1` };
channel.publish("aui.jobs", taskId, body, options);
await channel.waitForConfirms();
await connection.close();
