// nats.go, unmodified: core messaging, streams, consumers and key-value against one server.
//
// Usage: checks URL. Prints `ok NAME` or `FAIL NAME: why` per check; exits 1 if one failed.
// RESTART, if set, is a program that restarts the server.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

type env struct {
	url string
	nc  *nats.Conn
	js  jetstream.JetStream
	ctx context.Context
}

type check struct {
	name string
	run  func(*env) error
}

var checks = []check{
	{"connect", connect}, {"publish_subscribe", publishSubscribe}, {"request_reply", requestReply},
	{"no_responders", noResponders}, {"queue_group", queueGroup}, {"headers", headers},
	{"unsubscribe_after", unsubscribeAfter}, {"account_info", accountInfo},
	{"stream_create_update_delete", streamLife}, {"replicas_refused", replicasRefused},
	{"stream_listing", streamListing}, {"publish_ack", publishAck}, {"publish_async", publishAsync},
	{"publish_dedup", publishDedup}, {"publish_expected", publishExpected}, {"purge", purge},
	{"message_get_delete", messageGetDelete}, {"pull_fetch", pullFetch}, {"pull_no_wait", pullNoWait},
	{"pull_consume", pullConsume}, {"ack_verbs", ackVerbs}, {"redelivery", redelivery},
	{"ordered", ordered}, {"push", push}, {"push_heartbeat", pushHeartbeat},
	{"consumer_listing", consumerListing}, {"consumer_pause", consumerPause}, {"kv_basics", kvBasics},
	{"kv_history_keys", kvHistoryKeys}, {"kv_watch", kvWatch}, {"object_store", objectStore},
	{"drain", drain}, {"reconnect", reconnect},
}

func main() {
	e := &env{url: os.Args[1]}
	nc, err := open(e.url)
	if err != nil {
		fmt.Printf("FAIL go/connect: %v\n", err)
		os.Exit(1)
	}
	e.nc = nc
	e.js, _ = jetstream.New(nc)
	failed := 0
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		e.ctx = ctx
		if err := c.run(e); err != nil {
			failed++
			fmt.Printf("FAIL go/%s: %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", " "))
		} else {
			fmt.Printf("ok go/%s\n", c.name)
		}
		cancel()
	}
	nc.Close()
	if failed > 0 {
		os.Exit(1)
	}
}

func open(url string, more ...nats.Option) (*nats.Conn, error) {
	options := append([]nats.Option{nats.ReconnectWait(100 * time.Millisecond), nats.MaxReconnects(100)}, more...)
	return nats.Connect(url, options...)
}

func must(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func (e *env) stream(name string, change func(*jetstream.StreamConfig)) (jetstream.Stream, error) {
	_ = e.js.DeleteStream(e.ctx, name)
	config := jetstream.StreamConfig{Name: name, Subjects: []string{name + ".>"}}
	if change != nil {
		change(&config)
	}
	return e.js.CreateStream(e.ctx, config)
}

// filled makes a stream with the messages 0, 1, 2... on NAME.a.
func (e *env) filled(name string, count int) (jetstream.Stream, error) {
	s, err := e.stream(name, nil)
	for i := 0; err == nil && i < count; i++ {
		_, err = e.js.Publish(e.ctx, name+".a", fmt.Append(nil, i))
	}
	return s, err
}

func apiError(err error, code jetstream.ErrorCode) error {
	var api jetstream.JetStreamError
	if errors.As(err, &api) && api.APIError() != nil && api.APIError().ErrorCode == code {
		return nil
	}
	return fmt.Errorf("expected error %d, got %v", code, err)
}

func connect(e *env) error {
	if _, err := e.nc.RTT(); err != nil {
		return err
	}
	return must(e.nc.HeadersSupported() && strings.HasPrefix(e.nc.ConnectedServerVersion(), "2."),
		"version %s", e.nc.ConnectedServerVersion())
}

func publishSubscribe(e *env) error {
	sub, err := e.nc.SubscribeSync("go.core.>")
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	_ = e.nc.Publish("go.core.a", []byte("one"))
	_ = e.nc.PublishRequest("go.core.b.c", "there", []byte("two"))
	one, err := sub.NextMsg(2 * time.Second)
	if err != nil {
		return err
	}
	two, err := sub.NextMsg(2 * time.Second)
	if err != nil {
		return err
	}
	return must(string(one.Data) == "one" && two.Reply == "there", "%v %v", one, two)
}

func requestReply(e *env) error {
	sub, err := e.nc.Subscribe("go.service", func(m *nats.Msg) { _ = m.Respond([]byte("pong")) })
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	for range 50 {
		if _, err = e.nc.Request("go.service", []byte("ping"), 2*time.Second); err != nil {
			return err
		}
	}
	return nil
}

func noResponders(e *env) error {
	_, err := e.nc.Request("go.nobody", nil, 2*time.Second)
	return must(errors.Is(err, nats.ErrNoResponders), "got %v", err)
}

func queueGroup(e *env) error {
	total := make(chan struct{}, 100)
	for range 3 {
		sub, err := e.nc.QueueSubscribe("go.queue", "workers", func(*nats.Msg) { total <- struct{}{} })
		if err != nil {
			return err
		}
		defer sub.Unsubscribe()
	}
	for range 30 {
		_ = e.nc.Publish("go.queue", nil)
	}
	_ = e.nc.Flush()
	time.Sleep(100 * time.Millisecond)
	return must(len(total) == 30, "%d of 30", len(total))
}

func headers(e *env) error {
	sub, err := e.nc.SubscribeSync("go.headers")
	if err != nil {
		return err
	}
	defer sub.Unsubscribe()
	msg := nats.NewMsg("go.headers")
	msg.Header.Add("Key", "one")
	msg.Header.Add("Key", "two")
	_ = e.nc.PublishMsg(msg)
	got, err := sub.NextMsg(2 * time.Second)
	if err != nil {
		return err
	}
	return must(slices.Equal(got.Header.Values("Key"), []string{"one", "two"}), "%v", got.Header)
}

func unsubscribeAfter(e *env) error {
	sub, err := e.nc.SubscribeSync("go.limited")
	if err != nil {
		return err
	}
	_ = sub.AutoUnsubscribe(2)
	for range 4 {
		_ = e.nc.Publish("go.limited", nil)
	}
	_ = e.nc.Flush()
	pending, _, err := sub.Pending()
	return must(err == nil && pending == 2, "%d pending, %v", pending, err)
}

func accountInfo(e *env) error {
	info, err := e.js.AccountInfo(e.ctx)
	if err != nil {
		return err
	}
	return must(info.Limits.MaxMemory == -1, "%+v", info)
}

func streamLife(e *env) error {
	s, err := e.stream("golife", nil)
	if err != nil {
		return err
	}
	if _, err = e.js.CreateStream(e.ctx, jetstream.StreamConfig{Name: "golife", Subjects: []string{"other"}}); !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("created twice: %v", err)
	}
	config := s.CachedInfo().Config
	config.MaxMsgs = 7
	if s, err = e.js.UpdateStream(e.ctx, config); err != nil {
		return err
	}
	if s.CachedInfo().Config.MaxMsgs != 7 {
		return fmt.Errorf("not updated: %+v", s.CachedInfo().Config)
	}
	if err = e.js.DeleteStream(e.ctx, "golife"); err != nil {
		return err
	}
	_, err = e.js.Stream(e.ctx, "golife")
	return must(errors.Is(err, jetstream.ErrStreamNotFound), "got %v", err)
}

func replicasRefused(e *env) error {
	_, err := e.stream("goreplicas", func(c *jetstream.StreamConfig) { c.Replicas = 3 })
	return apiError(err, 10074)
}

func streamListing(e *env) error {
	if _, err := e.stream("golist", nil); err != nil {
		return err
	}
	names := []string{}
	for name := range e.js.StreamNames(e.ctx).Name() {
		names = append(names, name)
	}
	infos := 0
	for range e.js.ListStreams(e.ctx).Info() {
		infos++
	}
	name, err := e.js.StreamNameBySubject(e.ctx, "golist.x")
	return must(err == nil && name == "golist" && slices.Contains(names, "golist") && infos == len(names),
		"%v %d %s %v", names, infos, name, err)
}

func publishAck(e *env) error {
	if _, err := e.stream("goack", nil); err != nil {
		return err
	}
	ack, err := e.js.Publish(e.ctx, "goack.a", []byte("x"))
	if err != nil {
		return err
	}
	_, err = e.js.Publish(e.ctx, "go.nostream", []byte("x"))
	return must(ack.Stream == "goack" && ack.Sequence == 1 && errors.Is(err, jetstream.ErrNoStreamResponse),
		"%+v %v", ack, err)
}

func publishAsync(e *env) error {
	if _, err := e.stream("goasync", nil); err != nil {
		return err
	}
	futures := []jetstream.PubAckFuture{}
	for range 2000 {
		future, err := e.js.PublishAsync("goasync.a", []byte("x"))
		if err != nil {
			return err
		}
		futures = append(futures, future)
	}
	for i, future := range futures {
		select {
		case ack := <-future.Ok():
			if ack.Sequence != uint64(i+1) {
				return fmt.Errorf("%d got %d", i+1, ack.Sequence)
			}
		case err := <-future.Err():
			return err
		case <-e.ctx.Done():
			return e.ctx.Err()
		}
	}
	return nil
}

func publishDedup(e *env) error {
	if _, err := e.stream("godedup", nil); err != nil {
		return err
	}
	for i := range 2 {
		ack, err := e.js.Publish(e.ctx, "godedup.a", nil, jetstream.WithMsgID("one"))
		if err != nil || ack.Sequence != 1 || ack.Duplicate != (i == 1) {
			return fmt.Errorf("%+v %v", ack, err)
		}
	}
	return nil
}

func publishExpected(e *env) error {
	if _, err := e.filled("goexpect", 1); err != nil {
		return err
	}
	for code, option := range map[jetstream.ErrorCode]jetstream.PublishOpt{
		10071: jetstream.WithExpectLastSequence(7),
		10060: jetstream.WithExpectStream("other"),
		10070: jetstream.WithExpectLastMsgID("other"),
	} {
		_, err := e.js.Publish(e.ctx, "goexpect.a", nil, option)
		if err = apiError(err, code); err != nil {
			return err
		}
	}
	_, err := e.js.Publish(e.ctx, "goexpect.a", nil, jetstream.WithExpectLastSequencePerSubject(1))
	return err
}

func purge(e *env) error {
	s, err := e.filled("gopurge", 5)
	if err != nil {
		return err
	}
	if err = s.Purge(e.ctx, jetstream.WithPurgeKeep(2)); err != nil {
		return err
	}
	info, err := s.Info(e.ctx)
	if err != nil || info.State.Msgs != 2 || info.State.FirstSeq != 4 {
		return fmt.Errorf("%+v %v", info, err)
	}
	if err = s.Purge(e.ctx, jetstream.WithPurgeSubject("gopurge.a")); err != nil {
		return err
	}
	info, err = s.Info(e.ctx, jetstream.WithSubjectFilter(">"))
	return must(err == nil && info.State.Msgs == 0, "%+v %v", info, err)
}

func messageGetDelete(e *env) error {
	s, err := e.filled("gomsg", 3)
	if err != nil {
		return err
	}
	msg, err := s.GetMsg(e.ctx, 2)
	if err != nil || string(msg.Data) != "1" {
		return fmt.Errorf("%v %v", msg, err)
	}
	if err = s.DeleteMsg(e.ctx, 2); err != nil {
		return err
	}
	if _, err = s.GetMsg(e.ctx, 2); !errors.Is(err, jetstream.ErrMsgNotFound) {
		return fmt.Errorf("still there: %v", err)
	}
	last, err := s.GetLastMsgForSubject(e.ctx, "gomsg.a")
	return must(err == nil && last.Sequence == 3, "%v %v", last, err)
}

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

func (e *env) bucket(name string) (jetstream.KeyValue, error) {
	_ = e.js.DeleteKeyValue(e.ctx, name)
	return e.js.CreateKeyValue(e.ctx, jetstream.KeyValueConfig{Bucket: name, History: 5})
}

func kvBasics(e *env) error {
	kv, err := e.bucket("gokv")
	if err != nil {
		return err
	}
	revision, err := kv.Create(e.ctx, "color", []byte("blue"))
	if err != nil {
		return err
	}
	if _, err = kv.Create(e.ctx, "color", nil); !errors.Is(err, jetstream.ErrKeyExists) {
		return fmt.Errorf("created twice: %v", err)
	}
	if revision, err = kv.Update(e.ctx, "color", []byte("green"), revision); err != nil {
		return err
	}
	if _, err = kv.Update(e.ctx, "color", nil, 1); err == nil {
		return errors.New("updated an old revision")
	}
	entry, err := kv.Get(e.ctx, "color")
	if err != nil || string(entry.Value()) != "green" || entry.Revision() != revision {
		return fmt.Errorf("%v %v", entry, err)
	}
	if old, err := kv.GetRevision(e.ctx, "color", 1); err != nil || string(old.Value()) != "blue" {
		return fmt.Errorf("%v %v", old, err)
	}
	if err = kv.Delete(e.ctx, "color"); err != nil {
		return err
	}
	if _, err = kv.Get(e.ctx, "color"); !errors.Is(err, jetstream.ErrKeyNotFound) {
		return fmt.Errorf("still there: %v", err)
	}
	_, err = kv.Create(e.ctx, "color", []byte("new"))
	return err
}

func kvHistoryKeys(e *env) error {
	kv, err := e.bucket("gokvh")
	if err != nil {
		return err
	}
	for i := range 7 {
		if _, err = kv.PutString(e.ctx, "a.b", fmt.Sprint(i)); err != nil {
			return err
		}
	}
	_, _ = kv.PutString(e.ctx, "c", "x")
	history, err := kv.History(e.ctx, "a.b")
	if err != nil || len(history) != 5 || string(history[0].Value()) != "2" {
		return fmt.Errorf("%v %v", history, err)
	}
	keys, err := kv.Keys(e.ctx)
	slices.Sort(keys)
	if err != nil || !slices.Equal(keys, []string{"a.b", "c"}) {
		return fmt.Errorf("%v %v", keys, err)
	}
	if err = kv.Purge(e.ctx, "a.b"); err != nil {
		return err
	}
	status, err := kv.Status(e.ctx)
	return must(err == nil && status.Values() == 2, "%v %v", status, err)
}

func kvWatch(e *env) error {
	kv, err := e.bucket("gowatch")
	if err != nil {
		return err
	}
	_, _ = kv.PutString(e.ctx, "a", "1")
	watcher, err := kv.WatchAll(e.ctx)
	if err != nil {
		return err
	}
	defer watcher.Stop()
	expect := func(expected string) error {
		select {
		case entry := <-watcher.Updates():
			if got := fmt.Sprint(entry != nil && string(entry.Value()) == expected); got != fmt.Sprint(expected != "") {
				return fmt.Errorf("expected %q, got %v", expected, entry)
			}
			return nil
		case <-time.After(3 * time.Second):
			return fmt.Errorf("%q did not come", expected)
		}
	}
	if err = errors.Join(expect("1"), expect("")); err != nil {
		return err
	}
	_, _ = kv.PutString(e.ctx, "b", "2")
	return expect("2")
}

func objectStore(e *env) error {
	_ = e.js.DeleteObjectStore(e.ctx, "goobj")
	store, err := e.js.CreateObjectStore(e.ctx, jetstream.ObjectStoreConfig{Bucket: "goobj"})
	if err != nil {
		return err
	}
	big := make([]byte, 300_000)
	for i := range big {
		big[i] = byte(i * 7)
	}
	if _, err = store.PutBytes(e.ctx, "big", big); err != nil {
		return err
	}
	back, err := store.GetBytes(e.ctx, "big")
	if err != nil || !slices.Equal(back, big) {
		return fmt.Errorf("%d bytes, %v", len(back), err)
	}
	if err = store.Delete(e.ctx, "big"); err != nil {
		return err
	}
	_, err = store.GetBytes(e.ctx, "big")
	return must(errors.Is(err, jetstream.ErrObjectNotFound), "got %v", err)
}

func drain(e *env) error {
	other, err := open(e.url)
	if err != nil {
		return err
	}
	closed := make(chan struct{})
	other.SetClosedHandler(func(*nats.Conn) { close(closed) })
	got := 0
	if _, err = other.Subscribe("go.drain", func(*nats.Msg) { got++ }); err != nil {
		return err
	}
	_ = other.Flush()
	_ = e.nc.Publish("go.drain", nil)
	_ = e.nc.Flush()
	_ = other.Drain()
	select {
	case <-closed:
		return must(got == 1, "%d came", got)
	case <-time.After(5 * time.Second):
		return errors.New("not drained")
	}
}

func reconnect(e *env) error {
	restart := os.Getenv("RESTART")
	if restart == "" {
		return nil
	}
	if _, err := e.filled("gorestart", 3); err != nil {
		return err
	}
	back := make(chan struct{}, 1)
	other, err := open(e.url, nats.ReconnectHandler(func(*nats.Conn) { back <- struct{}{} }))
	if err != nil {
		return err
	}
	defer other.Close()
	sub, err := other.SubscribeSync("go.after")
	if err != nil {
		return err
	}
	_ = other.Flush()
	if err = exec.Command(restart).Run(); err != nil {
		return err
	}
	select {
	case <-back:
	case <-e.ctx.Done():
		return errors.New("did not reconnect")
	}
	_ = other.Publish("go.after", nil)
	if _, err = sub.NextMsg(2 * time.Second); err != nil {
		return err
	}
	js, _ := jetstream.New(other)
	s, err := js.Stream(e.ctx, "gorestart")
	if err != nil {
		return err
	}
	return must(s.CachedInfo().State.Msgs == 3, "%+v", s.CachedInfo().State)
}
