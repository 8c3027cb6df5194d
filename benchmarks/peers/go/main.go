// A peer for the benchmark: the worker's bare task as a team would write it in Go, straight from
// the documentation of amqp091-go and gorilla/websocket.
//
// Environment: AMQP_URL, BENCH_QUEUE (jobs), BENCH_PREFETCH, AUI_WS_URL (with its key).
// Prints "ready" once it consumes; ends on SIGTERM.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	amqp "github.com/rabbitmq/amqp091-go"
)

const updateEvent = "thread-message-text-content-updated"

type worker struct {
	jobs    *amqp.Channel // declares, too: a call must not get between the frames of a publish
	replies *publisher
	url     string
}

func main() {
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer cancel()
	prefetch, err := strconv.Atoi(os.Getenv("BENCH_PREFETCH"))
	if err != nil {
		return err
	}
	connection, err := amqp.Dial(os.Getenv("AMQP_URL"))
	if err != nil {
		return err
	}
	defer connection.Close()
	replies, err := newPublisher(connection)
	if err != nil {
		return err
	}
	jobs, err := connection.Channel()
	if err != nil {
		return err
	}
	if err := jobs.Qos(prefetch, 0, false); err != nil {
		return err
	}
	deliveries, err := jobs.Consume(os.Getenv("BENCH_QUEUE"), "", false, false, false, false, nil)
	if err != nil {
		return err
	}
	fmt.Println("ready")

	w := &worker{jobs: jobs, replies: replies, url: os.Getenv("AUI_WS_URL")}
	for {
		select {
		case <-stop.Done():
			return nil
		case job, open := <-deliveries:
			if !open {
				return errors.New("the broker ended the consumer")
			}
			go w.handle(job)
		}
	}
}

// handle relays one job and settles it.
func (w *worker) handle(job amqp.Delivery) {
	socket, err := w.relay(job.Body)
	if err != nil {
		log.Printf("job failed: %v", err)
		job.Nack(false, false) // to the queue's dead letters, where it has them
	} else {
		job.Ack(false)
	}
	if socket != nil {
		bye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		socket.WriteControl(websocket.CloseMessage, bye, time.Now().Add(time.Second))
		socket.Close()
	}
}

// relay sends the request and publishes what comes back; it returns when the broker has confirmed
// all of it, with the socket where it opened one.
func (w *worker) relay(request []byte) (*websocket.Conn, error) {
	var task struct {
		ID string `json:"task_id"`
	}
	if err := json.Unmarshal(request, &task); err != nil {
		return nil, err
	}
	exchange := "aui.task." + task.ID
	if err := w.jobs.ExchangeDeclare(exchange, "topic", false, false, false, false, nil); err != nil {
		return nil, err
	}
	socket, _, err := websocket.DefaultDialer.Dial(w.url, nil)
	if err != nil {
		return nil, err
	}
	if err := socket.WriteMessage(websocket.TextMessage, request); err != nil {
		return socket, err
	}

	var confirms confirms
	for final := false; !final; {
		_, frame, err := socket.ReadMessage()
		if err != nil {
			return socket, err
		}
		var message struct {
			Event *string `json:"event"`
			ID    *string `json:"id"`
			Text  *string `json:"text"`
		}
		if err := json.Unmarshal(frame, &message); err != nil {
			return socket, err
		}
		kind, mode := "update", amqp.Transient
		switch {
		case message.Event != nil && *message.Event == updateEvent:
		case message.Event == nil && message.ID != nil && message.Text != nil:
			final = true
			kind, mode = "final", amqp.Persistent
		default:
			return socket, fmt.Errorf("not a reply: %s", frame)
		}
		key := "default.bench." + task.ID + "." + kind
		if err := w.replies.publish(&confirms, exchange, key, mode, frame); err != nil {
			return socket, err
		}
	}
	return socket, confirms.wait()
}
