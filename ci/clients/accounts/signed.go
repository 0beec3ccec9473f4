package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// world is an operator with a system account and an account A.
type world struct {
	operator, system, account nkeys.KeyPair
	operatorJWT, systemJWT    string
	claims                    *jwt.AccountClaims
}

func key(make func() (nkeys.KeyPair, error)) nkeys.KeyPair {
	pair, err := make()
	if err != nil {
		panic(err)
	}
	return pair
}

func public(pair nkeys.KeyPair) string {
	text, err := pair.PublicKey()
	if err != nil {
		panic(err)
	}
	return text
}

func encoded(claims jwt.Claims, pair nkeys.KeyPair) string {
	token, err := claims.Encode(pair)
	if err != nil {
		panic(err)
	}
	return token
}

func newWorld() *world {
	w := &world{operator: key(nkeys.CreateOperator), system: key(nkeys.CreateAccount), account: key(nkeys.CreateAccount)}
	operator := jwt.NewOperatorClaims(public(w.operator))
	operator.Name = "O"
	operator.SystemAccount = public(w.system)
	w.operatorJWT = encoded(operator, w.operator)
	system := jwt.NewAccountClaims(public(w.system))
	system.Name = "SYS"
	w.systemJWT = encoded(system, w.operator)
	w.claims = jwt.NewAccountClaims(public(w.account))
	w.claims.Name = "A"
	return w
}

func (w *world) accountJWT() string {
	return encoded(w.claims, w.operator)
}

// memory returns a configuration with all accounts in it.
func (w *world) memory() string {
	return fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload { %s: %s, %s: %s }",
		w.operatorJWT, public(w.system), w.systemJWT, public(w.account), w.accountJWT())
}

// directory returns a configuration with accounts in a directory.
func (w *world) directory(more string) string {
	return fmt.Sprintf("operator: %s\nresolver { type: full, dir: jwt, %s }\nresolver_preload { %s: %s }",
		w.operatorJWT, more, public(w.system), w.systemJWT)
}

// userOf returns how a user of an account logs in.
func userOf(issuer nkeys.KeyPair, change func(*jwt.UserClaims)) nats.Option {
	pair := key(nkeys.CreateUser)
	claims := jwt.NewUserClaims(public(pair))
	claims.Name = "bob"
	if change != nil {
		change(claims)
	}
	token := encoded(claims, issuer)
	seed, err := pair.Seed()
	if err != nil {
		panic(err)
	}
	return nats.UserJWTAndSeed(token, string(seed))
}

func (w *world) user(change func(*jwt.UserClaims)) nats.Option {
	return userOf(w.account, change)
}

func nkeyLogin(s *server) error {
	pair, other := key(nkeys.CreateUser), key(nkeys.CreateUser)
	sign := func(with nkeys.KeyPair) nats.Option {
		return nats.Nkey(public(pair), func(nonce []byte) ([]byte, error) { return with.Sign(nonce) })
	}
	return all(
		func() error { return s.start(fmt.Sprintf("authorization { users: [ {nkey: %s} ] }", public(pair))) },
		func() error { return s.admits(sign(pair)) },
		func() error { return s.refuses(sign(other)) },
		func() error { return s.refuses() },
	)
}

func jwtUser(s *server) error {
	w := newWorld()
	return all(
		func() error { return s.start(w.memory()) },
		func() error { return s.admits(w.user(nil)) },
		func() error { return s.refuses() },
		func() error { return s.refuses(userOf(key(nkeys.CreateAccount), nil)) },
	)
}

func jwtSigningKey(s *server) error {
	w := newWorld()
	signing := key(nkeys.CreateAccount)
	w.claims.SigningKeys.Add(public(signing))
	of := func(issuer nkeys.KeyPair) nats.Option {
		return userOf(issuer, func(u *jwt.UserClaims) { u.IssuerAccount = public(w.account) })
	}
	return all(
		func() error { return s.start(w.memory()) },
		func() error { return s.admits(of(signing)) },
		func() error { return s.refuses(of(key(nkeys.CreateAccount))) },
	)
}

func jwtScopedTemplate(s *server) error {
	w := newWorld()
	signing := key(nkeys.CreateAccount)
	scope := jwt.NewUserScope()
	scope.Key = public(signing)
	scope.Template.Sub.Allow.Add("{{name()}}.>", "_INBOX.>")
	scope.Template.Pub.Allow.Add("{{account-name()}}.{{tag(team)}}")
	w.claims.SigningKeys.AddScopedSigner(scope)
	user := userOf(signing, func(u *jwt.UserClaims) {
		u.IssuerAccount = public(w.account)
		u.Tags.Add("team:red")
		u.UserPermissionLimits = jwt.UserPermissionLimits{}
	})
	if err := s.start(w.memory()); err != nil {
		return err
	}
	denied := make(chan error, 4)
	nc, err := s.dial(user, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.SubscribeSync("bob.x"); err != nil {
		return err
	}
	nc.Publish("A.red", nil)
	nc.Flush()
	select {
	case err := <-denied:
		return fmt.Errorf("the template allows it: %w", err)
	default:
	}
	nc.Publish("A.blue", nil)
	nc.Flush()
	select {
	case err := <-denied:
		if !strings.Contains(strings.ToLower(err.Error()), `permissions violation for publish to "a.blue"`) {
			return err
		}
	case <-time.After(2 * time.Second):
		return errors.New("the template was not kept")
	}
	return nil
}

func jwtBearer(s *server) error {
	w := newWorld()
	pair := key(nkeys.CreateUser)
	token := func(bearer bool) nats.Option {
		claims := jwt.NewUserClaims(public(pair))
		claims.BearerToken = bearer
		text := encoded(claims, w.account)
		return nats.UserJWT(func() (string, error) { return text, nil }, func([]byte) ([]byte, error) { return nil, nil })
	}
	return all(
		func() error { return s.start(w.memory()) },
		func() error { return s.admits(token(true)) },
		func() error { return s.refuses(token(false)) },
	)
}

func jwtConnectionType(s *server) error {
	w := newWorld()
	only := func(kind string) nats.Option {
		return w.user(func(u *jwt.UserClaims) { u.AllowedConnectionTypes.Add(kind) })
	}
	return all(
		func() error { return s.start(w.memory()) },
		func() error { return s.admits(only(jwt.ConnectionTypeStandard)) },
		func() error { return s.refuses(only(jwt.ConnectionTypeWebsocket)) },
	)
}

func jwtSourceNetwork(s *server) error {
	w := newWorld()
	from := func(network string) nats.Option {
		return w.user(func(u *jwt.UserClaims) { u.Src.Add(network) })
	}
	return all(
		func() error { return s.start(w.memory()) },
		func() error { return s.admits(from("127.0.0.0/8")) },
		func() error { return s.refuses(from("10.0.0.0/8")) },
	)
}

func jwtExpires(s *server) error {
	w := newWorld()
	if err := s.start(w.memory()); err != nil {
		return err
	}
	gone := w.user(func(u *jwt.UserClaims) { u.Expires = time.Now().Add(-time.Minute).Unix() })
	if nc, err := s.dial(gone); err == nil {
		nc.Close()
		return errors.New("an expired token was taken")
	}
	nc, err := s.dial(w.user(func(u *jwt.UserClaims) { u.Expires = time.Now().Add(2 * time.Second).Unix() }))
	if err != nil {
		return err
	}
	return closedFor(nc, nats.ErrAuthExpired)
}

func jwtWrongKey(s *server) error {
	w := newWorld()
	claims := jwt.NewUserClaims(public(key(nkeys.CreateUser)))
	token := encoded(claims, w.account)
	seed, _ := key(nkeys.CreateUser).Seed()
	return all(
		func() error { return s.start(w.memory()) },
		func() error { return s.refuses(nats.UserJWTAndSeed(token, string(seed))) },
	)
}

func defaultSentinel(s *server) error {
	w := newWorld()
	claims := jwt.NewUserClaims(public(key(nkeys.CreateUser)))
	claims.BearerToken = true
	config := w.memory() + "\ndefault_sentinel: " + encoded(claims, w.account)
	return all(
		func() error { return s.start(config) },
		func() error { return s.admits() },
	)
}
