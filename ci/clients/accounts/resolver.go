package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// answer is what the server says to a change of accounts.
type answer struct {
	Data *struct {
		Account, Message string
		Code             int
	}
	Error *struct {
		Account, Description string
		Code                 int
	}
}

func (w *world) systemUser() nats.Option {
	return userOf(w.system, nil)
}

// ask sends a request in the system account.
func (w *world) ask(s *server, subject, body string) (*nats.Msg, error) {
	nc, err := s.dial(w.systemUser())
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	return nc.Request(subject, []byte(body), 5*time.Second)
}

// changes asks for a change that succeeds with a message, or fails with a part of one.
func (w *world) changes(s *server, subject, body, message string) error {
	msg, err := w.ask(s, subject, body)
	if err != nil {
		return err
	}
	var said answer
	if err := json.Unmarshal(msg.Data, &said); err != nil {
		return err
	}
	switch {
	case said.Data != nil && said.Data.Message == message && said.Data.Code == 200:
		return nil
	case said.Error != nil && said.Error.Code == 500 && strings.Contains(said.Error.Description, message):
		return nil
	}
	return fmt.Errorf("%s was answered with %s", subject, msg.Data)
}

func (w *world) update(s *server) error {
	return w.changes(s, "$SYS.REQ.CLAIMS.UPDATE", w.accountJWT(), "jwt updated")
}

func resolverUpdate(s *server) error {
	w := newWorld()
	named := "$SYS.REQ.ACCOUNT." + public(w.account) + ".CLAIMS.UPDATE"
	return all(
		func() error { return s.start(w.directory("")) },
		func() error { return s.refuses(w.user(nil)) },
		func() error { return w.update(s) },
		func() error { return s.admits(w.user(nil)) },
		func() error { return w.changes(s, named, w.accountJWT(), "jwt updated") },
	)
}

func resolverRestart(s *server) error {
	w := newWorld()
	return all(
		func() error { return s.start(w.directory("")) },
		func() error { return w.update(s) },
		func() error { return s.crash() },
		func() error { return s.admits(w.user(nil)) },
	)
}

func resolverListLookupPack(s *server) error {
	w := newWorld()
	name := public(w.account)
	// Encoded once: a claim tells the second in which that was done.
	token := w.accountJWT()
	return all(
		func() error { return s.start(w.directory("")) },
		func() error { return w.changes(s, "$SYS.REQ.CLAIMS.UPDATE", token, "jwt updated") },
		func() error {
			msg, err := w.ask(s, "$SYS.REQ.CLAIMS.LIST", "")
			if err != nil || !bytes.Contains(msg.Data, []byte(`"`+name+`"`)) {
				return fmt.Errorf("listed: %v %v", msg, err)
			}
			return nil
		},
		func() error {
			msg, err := w.ask(s, "$SYS.REQ.ACCOUNT."+name+".CLAIMS.LOOKUP", "")
			if err != nil || string(msg.Data) != token {
				return fmt.Errorf("looked up: %v %v", msg, err)
			}
			return nil
		},
		func() error {
			msg, err := w.ask(s, "$SYS.REQ.ACCOUNT."+public(key(nkeys.CreateAccount))+".CLAIMS.LOOKUP", "")
			if err != nil || len(msg.Data) != 0 {
				return fmt.Errorf("looked up what is not there: %v %v", msg, err)
			}
			return nil
		},
		func() error { return packed(s, w, name+"|"+token) },
	)
}

// packed fails unless one of the messages that carry all accounts is `want`, and an empty one ends them.
func packed(s *server, w *world, want string) error {
	nc, err := s.dial(w.systemUser())
	if err != nil {
		return err
	}
	defer nc.Close()
	inbox := nats.NewInbox()
	sub, err := nc.SubscribeSync(inbox)
	if err != nil {
		return err
	}
	nc.PublishRequest("$SYS.REQ.CLAIMS.PACK", inbox, nil)
	found := false
	for {
		msg, err := sub.NextMsg(5 * time.Second)
		if err != nil {
			return err
		}
		if len(msg.Data) == 0 {
			break
		}
		found = found || string(msg.Data) == want
	}
	if !found {
		return errors.New("the account is not in the pack")
	}
	return nil
}

func resolverRefuses(s *server) error {
	w, other := newWorld(), newWorld()
	named := "$SYS.REQ.ACCOUNT." + public(other.account) + ".CLAIMS.UPDATE"
	return all(
		func() error { return s.start(w.directory("")) },
		func() error {
			return w.changes(s, "$SYS.REQ.CLAIMS.UPDATE", "nonsense", "jwt update resulted in error - expected 3 chunks")
		},
		func() error {
			return w.changes(s, named, w.accountJWT(), "jwt update resulted in error - subject does not match jwt content")
		},
		func() error {
			claims := jwt.NewGenericClaims(public(w.operator))
			claims.Data["accounts"] = []string{public(w.account)}
			return w.changes(s, "$SYS.REQ.CLAIMS.DELETE", encoded(claims, w.operator), "delete must be enabled in server config")
		},
	)
}

func resolverDelete(s *server) error {
	w := newWorld()
	remove := func(signer nkeys.KeyPair, account nkeys.KeyPair, message string) error {
		claims := jwt.NewGenericClaims(public(signer))
		claims.Data["accounts"] = []string{public(account)}
		return w.changes(s, "$SYS.REQ.CLAIMS.DELETE", encoded(claims, signer), message)
	}
	var nc *nats.Conn
	return all(
		func() error { return s.start(w.directory("allow_delete: true")) },
		func() error { return w.update(s) },
		func() (err error) { nc, err = s.dial(w.user(nil)); return },
		func() error { return remove(key(nkeys.CreateOperator), w.account, "not trusted") },
		func() error { return remove(w.operator, w.system, "not allowed to delete system account") },
		func() error { return remove(w.operator, w.account, "deleted 1 accounts") },
		func() error { return closedFor(nc, nats.ErrAccountAuthExpired) },
		func() error { return s.crash() },
		func() error { return s.refuses(w.user(nil)) },
	)
}

func resolverRevokes(s *server) error {
	w := newWorld()
	pair := key(nkeys.CreateUser)
	claims := jwt.NewUserClaims(public(pair))
	token := encoded(claims, w.account)
	seed, _ := pair.Seed()
	user := nats.UserJWTAndSeed(token, string(seed))
	var revoked, other *nats.Conn
	return all(
		func() error { return s.start(w.directory("")) },
		func() error { return w.update(s) },
		func() (err error) { revoked, err = s.dial(user); return },
		func() (err error) { other, err = s.dial(w.user(nil)); return },
		func() error { w.claims.Revoke(public(pair)); return w.update(s) },
		func() error { return closedFor(revoked, nats.ErrAuthRevoked) },
		func() error { return other.Flush() },
		func() error { return s.refuses(user) },
	)
}

func resolverLimits(s *server) error {
	w := newWorld()
	return all(
		func() error { return s.start(w.directory("")) },
		func() error { w.claims.Limits.Conn = 1; return w.update(s) },
		func() error {
			nc, err := s.dial(w.user(nil))
			if err != nil {
				return err
			}
			defer nc.Close()
			if second, err := s.dial(w.user(nil)); err == nil {
				defer second.Close()
				return closedFor(second, nats.ErrMaxAccountConnectionsExceeded)
			}
			return nil
		},
		func() error { w.claims.Limits.Conn = 2; return w.update(s) },
		func() error {
			nc, err := s.dial(w.user(nil))
			if err != nil {
				return err
			}
			defer nc.Close()
			return s.admits(w.user(nil))
		},
	)
}

func resolverMemory(s *server) error {
	w := newWorld()
	pair := key(nkeys.CreateUser)
	named := "$SYS.REQ.ACCOUNT." + public(w.account) + ".CLAIMS.UPDATE"
	unknown := newWorld()
	unknown.operator = w.operator
	return all(
		func() error { return s.start(w.memory()) },
		func() error { return s.admits(w.user(nil)) },
		func() error { w.claims.Revoke("*"); return w.changes(s, named, w.accountJWT(), "jwt updated") },
		func() error { return s.refuses(w.user(func(u *jwt.UserClaims) { u.Subject = public(pair) })) },
		func() error {
			subject := "$SYS.REQ.ACCOUNT." + public(unknown.account) + ".CLAIMS.UPDATE"
			return w.changes(s, subject, unknown.accountJWT(), "jwt update skipped")
		},
		func() error { return w.changes(s, named, "", "request body is empty") },
	)
}
