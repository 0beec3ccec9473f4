package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/counters"
	"github.com/synadia-io/orbit.go/jetstreamext"
)

// grouped makes a stream with that many messages, and a consumer whose clients come in the group g.
func (e *env) grouped(name string, count int, policy jetstream.PriorityPolicy) (jetstream.Consumer, error) {
	s, err := e.filled(name, count)
	if err != nil {
		return nil, err
	}
	return s.CreateConsumer(e.ctx, jetstream.ConsumerConfig{
		Durable: "c", AckPolicy: jetstream.AckExplicitPolicy, PriorityPolicy: policy,
		PriorityGroups: []string{"g"}, PinnedTTL: 30 * time.Second,
	})
}

func bodies(batch jetstream.MessageBatch) []string {
	got := []string{}
	for msg := range batch.Messages() {
		got = append(got, string(msg.Data()))
	}
	return got
}

func priorityOverflow(e *env) error {
	c, err := e.grouped("gooverflow", 3, jetstream.PriorityPolicyOverflow)
	if err != nil {
		return err
	}
	fetch := func(count int, more ...jetstream.FetchOpt) []string {
		more = append(more, jetstream.FetchPriorityGroup("g"), jetstream.FetchMaxWait(time.Second))
		batch, err := c.Fetch(count, more...)
		if err != nil {
			return []string{err.Error()}
		}
		return bodies(batch)
	}
	tooFew := fetch(1, jetstream.FetchMinPending(10))
	enough := fetch(1, jetstream.FetchMinPending(2))
	nobodyBehind := fetch(1, jetstream.FetchMinAckPending(2))
	always := fetch(1)
	behind := fetch(1, jetstream.FetchMinAckPending(2))
	return must(len(tooFew) == 0 && slices.Equal(enough, []string{"0"}) && len(nobodyBehind) == 0 &&
		slices.Equal(always, []string{"1"}) && slices.Equal(behind, []string{"2"}),
		"%v %v %v %v %v", tooFew, enough, nobodyBehind, always, behind)
}

func priorityPinned(e *env) error {
	c, err := e.grouped("gopinned", 2, jetstream.PriorityPolicyPinned)
	if err != nil {
		return err
	}
	nc, err := open(e.url)
	if err != nil {
		return err
	}
	defer nc.Close()
	js, _ := jetstream.New(nc)
	other, err := js.Consumer(e.ctx, "gopinned", "c")
	if err != nil {
		return err
	}
	first, err := c.Messages(jetstream.PullPriorityGroup("g"), jetstream.PullMaxMessages(1))
	if err != nil {
		return err
	}
	msg, err := first.Next()
	if err != nil {
		return err
	}
	pin := msg.Headers().Get("Nats-Pin-Id")
	waiting, err := other.Fetch(1, jetstream.FetchPriorityGroup("g"), jetstream.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	left := bodies(waiting)
	info, err := c.Info(e.ctx)
	if err != nil {
		return err
	}
	first.Stop()
	s, _ := e.js.Stream(e.ctx, "gopinned")
	if err = s.UnpinConsumer(e.ctx, "c", "g"); err != nil {
		return err
	}
	if _, err = e.js.Publish(e.ctx, "gopinned.a", []byte("late")); err != nil {
		return err
	}
	batch, err := other.Fetch(1, jetstream.FetchPriorityGroup("g"), jetstream.FetchMaxWait(2*time.Second))
	if err != nil {
		return err
	}
	served := bodies(batch)
	return must(pin != "" && len(left) == 0 && info.PriorityGroups[0].PinnedClientID == pin && len(served) == 1,
		"%q %v %+v %v", pin, left, info.PriorityGroups, served)
}

func priorityPrioritized(e *env) error {
	c, err := e.grouped("goprioritized", 0, jetstream.PriorityPolicyPrioritized)
	if err != nil {
		return err
	}
	fetch := func(priority uint8) (jetstream.MessageBatch, error) {
		return c.Fetch(1, jetstream.FetchPriorityGroup("g"), jetstream.FetchPrioritized(priority),
			jetstream.FetchMaxWait(3*time.Second))
	}
	low, err := fetch(7)
	if err != nil {
		return err
	}
	high, err := fetch(1)
	if err != nil {
		return err
	}
	if err = e.nc.Flush(); err != nil {
		return err
	}
	for _, body := range []string{"first", "second"} {
		if _, err = e.js.Publish(e.ctx, "goprioritized.a", []byte(body)); err != nil {
			return err
		}
	}
	gotHigh, gotLow := bodies(high), bodies(low)
	return must(slices.Equal(gotHigh, []string{"first"}) && slices.Equal(gotLow, []string{"second"}),
		"%v %v", gotHigh, gotLow)
}

func atomicBatch(e *env) error {
	s, err := e.stream("goatomic", func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = true })
	if err != nil {
		return err
	}
	batch, err := jetstreamext.NewBatchPublisher(e.js)
	if err != nil {
		return err
	}
	for i := range 4 {
		if err = batch.Add("goatomic.a", fmt.Append(nil, i)); err != nil {
			return err
		}
	}
	before, err := s.Info(e.ctx)
	if err != nil {
		return err
	}
	ack, err := batch.Commit(e.ctx, "goatomic.b", []byte("end"))
	if err != nil {
		return err
	}
	after, err := s.Info(e.ctx)
	return must(err == nil && before.State.Msgs == 0 && ack.BatchSize == 5 && ack.Sequence == 5 && after.State.Msgs == 5,
		"%d %+v %d %v", before.State.Msgs, ack, after.State.Msgs, err)
}

func atomicBatchRefused(e *env) error {
	s, err := e.stream("goatomicno", func(c *jetstream.StreamConfig) { c.AllowAtomicPublish = true })
	if err != nil {
		return err
	}
	batch, err := jetstreamext.NewBatchPublisher(e.js)
	if err != nil {
		return err
	}
	if err = batch.Add("goatomicno.a", []byte("1")); err != nil {
		return err
	}
	if err = batch.Add("goatomicno.b", []byte("2"), jetstreamext.WithBatchExpectLastSequencePerSubject(7)); err != nil {
		return err
	}
	_, err = batch.Commit(e.ctx, "goatomicno.c", []byte("3"))
	info, infoErr := s.Info(e.ctx)
	return must(apiError(err, 10071) == nil && infoErr == nil && info.State.Msgs == 0, "%v %v %+v", err, infoErr, info)
}

func fastBatch(e *env) error {
	s, err := e.stream("gofast", func(c *jetstream.StreamConfig) { c.AllowBatchPublish = true })
	if err != nil {
		return err
	}
	fast, err := jetstreamext.NewFastPublisher(e.js)
	if err != nil {
		return err
	}
	acked := uint64(0)
	for i := range 999 {
		ack, err := fast.Add("gofast.a", fmt.Append(nil, i))
		if err != nil {
			return err
		}
		if ack.AckSequence < acked {
			return fmt.Errorf("went back from %d to %d", acked, ack.AckSequence)
		}
		acked = ack.AckSequence
	}
	end, err := fast.Commit(e.ctx, "gofast.a", []byte("end"))
	if err != nil {
		return err
	}
	info, err := s.Info(e.ctx)
	return must(err == nil && end.BatchSize == 1000 && end.Sequence == 1000 && info.State.Msgs == 1000,
		"%+v %+v %v", end, info, err)
}

func counter(e *env) error {
	s, err := e.stream("gocounter", func(c *jetstream.StreamConfig) { c.AllowMsgCounter, c.AllowDirect = true, true })
	if err != nil {
		return err
	}
	c, err := counters.NewCounterFromStream(e.js, s)
	if err != nil {
		return err
	}
	large, _ := new(big.Int).SetString("99999999999999999999999999", 10)
	if _, err = c.Add(e.ctx, "gocounter.large", large); err != nil {
		return err
	}
	if _, err = c.AddInt(e.ctx, "gocounter.a", 5); err != nil {
		return err
	}
	total, err := c.AddInt(e.ctx, "gocounter.a", -7)
	if err != nil {
		return err
	}
	loaded, err := c.Load(e.ctx, "gocounter.large")
	if err != nil {
		return err
	}
	all := map[string]string{}
	for entry, err := range c.GetMultiple(e.ctx, []string{"gocounter.>"}) {
		if err != nil {
			return err
		}
		all[entry.Subject] = entry.Value.String()
	}
	_, missing := c.Load(e.ctx, "gocounter.none")
	return must(total.Int64() == -2 && loaded.Cmp(large) == 0 && len(all) == 2 && all["gocounter.a"] == "-2" &&
		missing != nil, "%v %v %v %v", total, loaded, all, missing)
}

func counterTotals(e *env) error {
	if _, err := e.stream("gocountin", func(c *jetstream.StreamConfig) { c.AllowMsgCounter, c.AllowDirect = true, true }); err != nil {
		return err
	}
	s, err := e.stream("gocountall", func(c *jetstream.StreamConfig) {
		c.Subjects, c.AllowMsgCounter, c.AllowDirect = nil, true, true
		c.Sources = []*jetstream.StreamSource{{Name: "gocountin"}}
	})
	if err != nil {
		return err
	}
	in, err := counters.GetCounter(e.ctx, e.js, "gocountin")
	if err != nil {
		return err
	}
	all, err := counters.NewCounterFromStream(e.js, s)
	if err != nil {
		return err
	}
	for range 10 {
		if _, err = in.AddInt(e.ctx, "gocountin.a", 3); err != nil {
			return err
		}
	}
	for e.ctx.Err() == nil {
		total, err := all.Get(e.ctx, "gocountin.a")
		if err == nil && total.Value.Int64() == 30 {
			return must(total.Sources["gocountin"]["gocountin.a"].Int64() == 30, "%+v", total)
		}
		time.Sleep(20 * time.Millisecond)
	}
	return e.ctx.Err()
}

func messageTTL(e *env) error {
	s, err := e.stream("gottl", func(c *jetstream.StreamConfig) {
		c.AllowMsgTTL, c.SubjectDeleteMarkerTTL = true, time.Hour
	})
	if err != nil {
		return err
	}
	if _, err = e.js.Publish(e.ctx, "gottl.a", []byte("x"), jetstream.WithMsgTTL(time.Second)); err != nil {
		return err
	}
	// The stream's marker for what has ended lives an hour; the message as long, so that it does not outlive it.
	info, err := s.Info(e.ctx)
	if err != nil {
		return err
	}
	msg, err := s.GetLastMsgForSubject(e.ctx, "gottl.a")
	return must(err == nil && info.State.Msgs == 1 && msg.Header.Get("Nats-TTL") != "", "%+v %+v %v", info, msg, err)
}

func messageTTLEnds(e *env) error {
	s, err := e.stream("gottlends", func(c *jetstream.StreamConfig) { c.AllowMsgTTL = true })
	if err != nil {
		return err
	}
	for _, ttl := range []time.Duration{time.Second, time.Hour} {
		if _, err = e.js.Publish(e.ctx, "gottlends.a", []byte("x"), jetstream.WithMsgTTL(ttl)); err != nil {
			return err
		}
	}
	for e.ctx.Err() == nil {
		info, err := s.Info(e.ctx)
		if err != nil {
			return err
		}
		if info.State.Msgs == 1 {
			return must(info.State.FirstSeq == 2, "%+v", info.State)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return e.ctx.Err()
}

func scheduled(e *env) error {
	s, err := e.stream("gosched", func(c *jetstream.StreamConfig) {
		c.AllowMsgSchedules, c.AllowRollup = true, true
	})
	if err != nil {
		return err
	}
	sub, err := e.nc.SubscribeSync("gosched.target.*")
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	publish := func(subject, target string, when jetstream.PublishOpt) error {
		_, err := e.js.Publish(e.ctx, subject, []byte("due"), when, jetstream.WithScheduleTarget(target))
		return err
	}
	if err = publish("gosched.once", "gosched.target.once", jetstream.WithScheduleAt(time.Now().Add(time.Second))); err != nil {
		return err
	}
	if err = publish("gosched.every", "gosched.target.every", jetstream.WithScheduleEvery(time.Second)); err != nil {
		return err
	}
	for e.ctx.Err() == nil {
		info, err := s.Info(e.ctx, jetstream.WithSubjectFilter("gosched.>"))
		if err != nil {
			return err
		}
		subjects := info.State.Subjects
		if subjects["gosched.target.once"] == 1 && subjects["gosched.target.every"] >= 1 {
			msg, err := s.GetLastMsgForSubject(e.ctx, "gosched.target.every")
			return must(err == nil && bytes.Equal(msg.Data, []byte("due")) && subjects["gosched.once"] == 0 &&
				subjects["gosched.every"] == 1 && msg.Header.Get("Nats-Scheduler") == "gosched.every",
				"%v %+v %v", subjects, msg, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return e.ctx.Err()
}

func directGetBatch(e *env) error {
	s, err := e.stream("godirect", func(c *jetstream.StreamConfig) { c.AllowDirect = true })
	if err != nil {
		return err
	}
	for i := range 6 {
		if _, err = e.js.Publish(e.ctx, fmt.Sprintf("godirect.%d", i%3), fmt.Append(nil, i)); err != nil {
			return err
		}
	}
	collect := func(msgs func(func(*jetstream.RawStreamMsg, error) bool), err error) []string {
		got := []string{}
		if err != nil {
			return append(got, err.Error())
		}
		for msg, err := range msgs {
			if err != nil {
				return append(got, err.Error())
			}
			got = append(got, string(msg.Data))
		}
		return got
	}
	name := s.CachedInfo().Config.Name
	batch := collect(jetstreamext.GetBatch(e.ctx, e.js, name, 2, jetstreamext.GetBatchSeq(2), jetstreamext.GetBatchSubject("godirect.1")))
	last := collect(jetstreamext.GetLastMsgsFor(e.ctx, e.js, name, []string{"godirect.0", "godirect.2"}))
	upTo := collect(jetstreamext.GetLastMsgsFor(e.ctx, e.js, name, []string{"godirect.*"}, jetstreamext.GetLastMsgsUpToSeq(4)))
	none := collect(jetstreamext.GetLastMsgsFor(e.ctx, e.js, name, []string{"godirect.none"}))
	return must(slices.Equal(batch, []string{"1", "4"}) && slices.Equal(last, []string{"3", "5"}) &&
		slices.Equal(upTo, []string{"1", "2", "3"}) && len(none) == 1, "%v %v %v %v", batch, last, upTo, none)
}

func kvTTL(e *env) error {
	_ = e.js.DeleteKeyValue(e.ctx, "gokvttl")
	kv, err := e.js.CreateKeyValue(e.ctx, jetstream.KeyValueConfig{Bucket: "gokvttl", LimitMarkerTTL: time.Minute})
	if err != nil {
		return err
	}
	if _, err = kv.Create(e.ctx, "short", []byte("x"), jetstream.KeyTTL(time.Second)); err != nil {
		return err
	}
	if _, err = kv.Put(e.ctx, "long", []byte("x")); err != nil {
		return err
	}
	if err = kv.Purge(e.ctx, "long", jetstream.PurgeTTL(time.Hour)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(e.ctx, 10*time.Second)
	defer cancel()
	for ctx.Err() == nil {
		if _, err = kv.Get(ctx, "short"); errors.Is(err, jetstream.ErrKeyNotFound) {
			_, err = kv.Get(ctx, "long")
			return must(errors.Is(err, jetstream.ErrKeyNotFound), "%v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("the key is still there: %w", ctx.Err())
}

func persistAsync(e *env) error {
	s, err := e.stream("gopersist", func(c *jetstream.StreamConfig) { c.PersistMode = jetstream.AsyncPersistMode })
	if err != nil {
		return err
	}
	for i := range 100 {
		ack, err := e.js.PublishMsg(e.ctx, &nats.Msg{Subject: "gopersist.a", Data: fmt.Append(nil, i)})
		if err != nil {
			return err
		}
		if ack.Sequence != uint64(i+1) {
			return fmt.Errorf("%d got %d", i+1, ack.Sequence)
		}
	}
	info, err := s.Info(e.ctx)
	return must(err == nil && info.State.Msgs == 100 && info.Config.PersistMode == jetstream.AsyncPersistMode,
		"%+v %v", info, err)
}
