// A peer for the benchmark: the worker's bare task as a team would write it in Node.js, straight
// from the documentation of amqplib and ws.
//
// Environment: AMQP_URL, BENCH_QUEUE (jobs), BENCH_PREFETCH, AUI_WS_URL (with its key).
// Prints "ready" once it consumes; ends on SIGTERM.

import amqp from "amqplib";
import WebSocket from "ws";

const UPDATE_EVENT = "thread-message-text-content-updated";
const { AMQP_URL, AUI_WS_URL, BENCH_PREFETCH, BENCH_QUEUE } = process.env;

const connection = await amqp.connect(AMQP_URL);
connection.on("close", () => process.exit(1)); // an error ends the process by itself
const jobs = await connection.createChannel();
const replies = await connection.createConfirmChannel();
replies.setMaxListeners(0); // as many as there are conversations may wait for its "drain"

await jobs.prefetch(Number(BENCH_PREFETCH));
await jobs.consume(BENCH_QUEUE, handle);
process.once("SIGTERM", () => process.exit());
console.log("ready");

async function handle(job) {
  if (job === null) throw new Error(`the broker cancelled the consumer of ${BENCH_QUEUE}`);
  let socket;
  try {
    const { task_id: task } = JSON.parse(job.content);
    await replies.assertExchange(`aui.task.${task}`, "topic", { durable: false, autoDelete: false });
    socket = new WebSocket(AUI_WS_URL, { perMessageDeflate: false });
    await relay(socket, job.content, task);
    jobs.ack(job);
  } catch (error) {
    console.error(`job failed: ${error.message}`);
    jobs.nack(job, false, false); // to the queue's dead letters, where it has them
  } finally {
    socket?.close();
  }
}

// Sends the request and publishes what comes back; done when the broker has confirmed all of it.
function relay(socket, request, task) {
  return new Promise((resolve, reject) => {
    let unconfirmed = 0;
    let final = false;

    function confirmed(error) {
      unconfirmed -= 1;
      if (error) reject(error);
      else if (final && unconfirmed === 0) resolve();
    }

    function publish(kind, body, persistent) {
      unconfirmed += 1;
      const options = { contentType: "application/json", persistent };
      const key = `default.bench.${task}.${kind}`;
      const room = replies.publish(`aui.task.${task}`, key, body, options, confirmed);
      if (!room && !socket.isPaused) {
        socket.pause();
        replies.once("drain", () => socket.resume());
      }
    }

    socket.on("open", () => socket.send(request, { binary: false }));
    socket.on("message", (frame, binary) => {
      try {
        const message = binary ? {} : JSON.parse(frame);
        if (message.event === UPDATE_EVENT) {
          publish("update", frame, false);
        } else if (message.event === undefined && "id" in message && "text" in message) {
          final = true;
          publish("final", frame, true);
        } else {
          reject(new Error(`not a reply: ${frame}`));
        }
      } catch (error) {
        reject(error);
      }
    });
    socket.on("error", reject);
    socket.on("close", (code) => {
      if (!final) reject(new Error(`the WebSocket closed with ${code} before the final message`));
    });
  });
}
