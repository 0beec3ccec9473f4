package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func pullFetch(e *env) error {
	s, err := e.filled("gofetch", 10)
	if err != nil {
		return err
	}
	c, err := s.CreateConsumer(e.ctx, jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		return err
	}
	next := 0
	for next < 10 {
		batch, err := c.Fetch(4, jetstream.FetchMaxWait(500*time.Millisecond))
		if err != nil {
			return err
		}
		for msg := range batch.Messages() {
			if string(msg.Data()) != fmt.Sprint(next) {
				return fmt.Errorf("expected %d, got %s", next, msg.Data())
			}
			next++
			if err = msg.DoubleAck(e.ctx); err != nil {
				return err
			}
		}
		if batch.Error() != nil {
			return batch.Error()
		}
	}
	info, err := c.Info(e.ctx)
	return must(err == nil && info.AckFloor.Stream == 10 && info.NumAckPending == 0, "%+v %v", info, err)
}

func pullNoWait(e *env) error {
	s, err := e.filled("gonowait", 2)
	if err != nil {
		return err
	}
	c, err := s.CreateConsumer(e.ctx, jetstream.ConsumerConfig{Durable: "c"})
	if err != nil {
		return err
	}
	for _, expected := range []int{2, 0} {
		batch, err := c.FetchNoWait(10)
		if err != nil {
			return err
		}
		count := 0
		for range batch.Messages() {
			count++
		}
		if count != expected {
			return fmt.Errorf("%d instead of %d", count, expected)
		}
	}
	return nil
}

func pullConsume(e *env) error {
	s, err := e.stream("goconsume", nil)
	if err != nil {
		return err
	}
	c, err := s.CreateConsumer(e.ctx, jetstream.ConsumerConfig{Durable: "c"})
	if err != nil {
		return err
	}
	got := make(chan string, 1000)
	stop, err := c.Consume(func(m jetstream.Msg) { _ = m.Ack(); got <- string(m.Data()) }, jetstream.PullMaxMessages(50))
	if err != nil {
		return err
	}
	defer stop.Stop()
	for i := range 500 {
		if _, err = e.js.PublishAsync("goconsume.a", fmt.Append(nil, i)); err != nil {
			return err
		}
	}
	for i := range 500 {
		select {
		case data := <-got:
			if data != fmt.Sprint(i) {
				return fmt.Errorf("expected %d, got %s", i, data)
			}
		case <-e.ctx.Done():
			return fmt.Errorf("only %d came", i)
		}
	}
	return nil
}

func ackVerbs(e *env) error {
	s, err := e.filled("goverbs", 1)
	if err != nil {
		return err
	}
	c, err := s.CreateConsumer(e.ctx, jetstream.ConsumerConfig{Durable: "c", AckWait: time.Second})
	if err != nil {
		return err
	}
	for delivery, verb := range []func(jetstream.Msg) error{
		func(m jetstream.Msg) error { return m.Nak() },
		func(m jetstream.Msg) error { return m.NakWithDelay(200 * time.Millisecond) },
		func(m jetstream.Msg) error {
			time.Sleep(600 * time.Millisecond)
			if err := m.InProgress(); err != nil {
				return err
			}
			time.Sleep(600 * time.Millisecond)
			return m.TermWithReason("enough")
		},
	} {
		msg, err := c.Next(jetstream.FetchMaxWait(2 * time.Second))
		if err != nil {
			return err
		}
		meta, err := msg.Metadata()
		if err != nil || meta.NumDelivered != uint64(delivery+1) {
			return fmt.Errorf("delivery %d: %+v %v", delivery+1, meta, err)
		}
		if err = verb(msg); err != nil {
			return err
		}
	}
	_, err = c.Next(jetstream.FetchMaxWait(1500 * time.Millisecond))
	return must(err != nil, "a terminated message came again")
}

func redelivery(e *env) error {
	s, err := e.filled("goredeliver", 1)
	if err != nil {
		return err
	}
	c, err := s.CreateConsumer(e.ctx, jetstream.ConsumerConfig{Durable: "c", AckWait: 300 * time.Millisecond, MaxDeliver: 2})
	if err != nil {
		return err
	}
	for delivery := range 2 {
		msg, err := c.Next(jetstream.FetchMaxWait(2 * time.Second))
		if err != nil {
			return fmt.Errorf("delivery %d: %w", delivery+1, err)
		}
		if meta, _ := msg.Metadata(); meta.NumDelivered != uint64(delivery+1) {
			return fmt.Errorf("%+v", meta)
		}
	}
	_, err = c.Next(jetstream.FetchMaxWait(time.Second))
	return must(err != nil, "delivered more often than allowed")
}

func ordered(e *env) error {
	s, err := e.filled("goordered", 100)
	if err != nil {
		return err
	}
	c, err := s.OrderedConsumer(e.ctx, jetstream.OrderedConsumerConfig{})
	if err != nil {
		return err
	}
	messages, err := c.Messages()
	if err != nil {
		return err
	}
	defer messages.Stop()
	for i := range 100 {
		msg, err := messages.Next()
		if err != nil || string(msg.Data()) != fmt.Sprint(i) {
			return fmt.Errorf("%d: %v %v", i, msg, err)
		}
	}
	return nil
}

func push(e *env) error {
	s, err := e.filled("gopush", 20)
	if err != nil {
		return err
	}
	c, err := s.CreatePushConsumer(e.ctx, jetstream.ConsumerConfig{Durable: "c", DeliverSubject: "go.push.here", AckPolicy: jetstream.AckExplicitPolicy})
	if err != nil {
		return err
	}
	got := make(chan string, 100)
	stop, err := c.Consume(func(m jetstream.Msg) { _ = m.Ack(); got <- string(m.Data()) })
	if err != nil {
		return err
	}
	defer stop.Stop()
	for i := range 20 {
		select {
		case data := <-got:
			if data != fmt.Sprint(i) {
				return fmt.Errorf("expected %d, got %s", i, data)
			}
		case <-time.After(3 * time.Second):
			return fmt.Errorf("only %d came", i)
		}
	}
	return nil
}

func pushHeartbeat(e *env) error {
	if _, err := e.filled("gobeat", 1); err != nil {
		return err
	}
	old, err := e.nc.JetStream()
	if err != nil {
		return err
	}
	sub, err := old.SubscribeSync("gobeat.a", nats.OrderedConsumer(), nats.IdleHeartbeat(200*time.Millisecond))
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	if _, err = sub.NextMsg(2 * time.Second); err != nil {
		return err
	}
	time.Sleep(700 * time.Millisecond)
	if _, err = e.js.Publish(e.ctx, "gobeat.a", []byte("later")); err != nil {
		return err
	}
	msg, err := sub.NextMsg(2 * time.Second)
	return must(err == nil && string(msg.Data) == "later", "%v %v", msg, err)
}

func consumerListing(e *env) error {
	s, err := e.filled("goconsumers", 1)
	if err != nil {
		return err
	}
	for _, name := range []string{"b", "a"} {
		config := jetstream.ConsumerConfig{Durable: name, FilterSubjects: []string{"goconsumers.a", "goconsumers.b"}}
		if _, err = s.CreateConsumer(e.ctx, config); err != nil {
			return err
		}
		if _, err = s.CreateConsumer(e.ctx, config); err != nil {
			return fmt.Errorf("the same again: %w", err)
		}
	}
	names := []string{}
	for name := range s.ConsumerNames(e.ctx).Name() {
		names = append(names, name)
	}
	if err = s.DeleteConsumer(e.ctx, "a"); err != nil {
		return err
	}
	_, err = s.Consumer(e.ctx, "a")
	return must(slices.Equal(names, []string{"a", "b"}) && errors.Is(err, jetstream.ErrConsumerNotFound), "%v %v", names, err)
}

func consumerPause(e *env) error {
	s, err := e.filled("gopause", 1)
	if err != nil {
		return err
	}
	c, err := s.CreateConsumer(e.ctx, jetstream.ConsumerConfig{Durable: "c"})
	if err != nil {
		return err
	}
	if _, err = s.PauseConsumer(e.ctx, "c", time.Now().Add(time.Hour)); err != nil {
		return err
	}
	if _, err = c.Next(jetstream.FetchMaxWait(300 * time.Millisecond)); err == nil {
		return errors.New("delivered while paused")
	}
	if _, err = s.ResumeConsumer(e.ctx, "c"); err != nil {
		return err
	}
	_, err = c.Next(jetstream.FetchMaxWait(2 * time.Second))
	return err
}
