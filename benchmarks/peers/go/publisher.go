package main

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	amqp "github.com/rabbitmq/amqp091-go"
)

const window = 4096 // messages that may be unconfirmed

// A publisher pipelines messages on a channel in confirm mode. It does not use the library's
// deferred confirmations: in 1.5.0, one that comes before the call that publishes has returned is
// lost, and its job would wait for ever (amqp091-go issue 182).
type publisher struct {
	channel     *amqp.Channel
	mutex       sync.Mutex     // holds what is published and what is noted in one order
	unconfirmed chan *confirms // one for each message, in order of publishing
}

// confirms counts what the broker has yet to confirm of one job.
type confirms struct {
	unconfirmed sync.WaitGroup
	refused     atomic.Bool
}

func newPublisher(connection *amqp.Connection) (*publisher, error) {
	channel, err := connection.Channel()
	if err != nil {
		return nil, err
	}
	if err := channel.Confirm(false); err != nil {
		return nil, err
	}
	p := &publisher{channel: channel, unconfirmed: make(chan *confirms, window)}
	go p.listen(channel.NotifyPublish(make(chan amqp.Confirmation, window)))
	return p, nil
}

func (p *publisher) publish(job *confirms, exchange, key string, mode uint8, body []byte) error {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	job.unconfirmed.Add(1)
	p.unconfirmed <- job
	return p.channel.PublishWithContext(
		context.Background(), exchange, key, false, false,
		amqp.Publishing{ContentType: "application/json", DeliveryMode: mode, Body: body},
	)
}

// listen hands each confirmation to its job: they come in order of publishing, too.
func (p *publisher) listen(confirmations <-chan amqp.Confirmation) {
	for confirmation := range confirmations {
		job := <-p.unconfirmed
		if !confirmation.Ack {
			job.refused.Store(true)
		}
		job.unconfirmed.Done()
	}
}

func (c *confirms) wait() error {
	c.unconfirmed.Wait()
	if c.refused.Load() {
		return errors.New("the broker refused a reply")
	}
	return nil
}
