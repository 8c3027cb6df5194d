import amqp from "amqplib";
import { newest } from "./reducer.mjs";

const [taskId] = process.argv.slice(2);
const news = newest();
const connection = await amqp.connect(process.env.AMQP_URL ?? "amqp://localhost");
const channel = await connection.createChannel();
const { queue } = await channel.assertQueue("", { exclusive: true });
await channel.bindQueue(queue, "aui.replies", `*.*.${taskId}.*`);
await channel.consume(queue, async (reply) => {
  channel.ack(reply);
  const job = news(reply);
  if (!job) return;
  console.log(job.type, job.text);
  if (job.ended) await connection.close();
});
console.log("listening");
