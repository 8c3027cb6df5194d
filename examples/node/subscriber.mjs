import amqp from "amqplib";

const [taskId] = process.argv.slice(2);
const connection = await amqp.connect(process.env.AMQP_URL ?? "amqp://localhost");
const channel = await connection.createChannel();
const { queue } = await channel.assertQueue("", { exclusive: true });
await channel.bindQueue(queue, "aui.replies", `*.*.${taskId}.*`);
await channel.consume(queue, async (reply) => {
  channel.ack(reply);
  const body = JSON.parse(reply.content.toString());
  console.log(reply.properties.type, (body.data ?? body).text);
  if (["message.completed", "message.failed"].includes(reply.properties.type)) {
    await connection.close();
  }
});
console.log("listening");
