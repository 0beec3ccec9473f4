package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// decider answers the questions of a server that asks who may connect.
type decider struct {
	issuer, xkey nkeys.KeyPair
	// decide fills in the user's claims, or says why there are none.
	decide func(*jwt.AuthorizationRequestClaims, *jwt.UserClaims) string
	failed chan error
}

func (d *decider) serve(nc *nats.Conn) error {
	_, err := nc.Subscribe("$SYS.REQ.USER.AUTH", func(msg *nats.Msg) {
		if err := d.answer(msg); err != nil {
			d.failed <- err
		}
	})
	if err != nil {
		return err
	}
	return nc.Flush()
}

func (d *decider) answer(msg *nats.Msg) error {
	data, server := msg.Data, msg.Header.Get("Nats-Server-Xkey")
	if d.xkey != nil {
		opened, err := d.xkey.Open(data, server)
		if err != nil {
			return err
		}
		data = opened
	}
	request, err := jwt.DecodeAuthorizationRequestClaims(string(data))
	if err != nil {
		return err
	}
	user := jwt.NewUserClaims(request.UserNkey)
	response := jwt.NewAuthorizationResponseClaims(request.UserNkey)
	response.Audience = request.Server.ID
	if why := d.decide(request, user); why != "" {
		response.Error = why
	} else {
		response.Jwt = encoded(user, d.issuer)
	}
	answer := []byte(encoded(response, d.issuer))
	if d.xkey != nil {
		if answer, err = d.xkey.Seal(answer, server); err != nil {
			return err
		}
	}
	return msg.Respond(answer)
}

// onlyBob lets bob in, in account APP, to publish on `bob.>`.
func onlyBob(request *jwt.AuthorizationRequestClaims, user *jwt.UserClaims) string {
	if request.ConnectOptions.Username != "bob" || request.ConnectOptions.Password != "secret" {
		return "nobody knows you"
	}
	user.Audience = "APP"
	user.Name = "bob"
	user.Pub.Allow.Add("bob.>")
	return ""
}

func calloutConfig(issuer nkeys.KeyPair, more string) string {
	return fmt.Sprintf(`accounts { AUTH { users: [ {user: auth, password: auth} ] }, APP {}, SYS {} }
system_account: SYS
authorization { timeout: 1, auth_callout { issuer: %s, account: AUTH, auth_users: [ auth ], %s } }`, public(issuer), more)
}

// withDecider starts a server and the service that it asks.
func withDecider(s *server, d *decider, more string) (*nats.Conn, error) {
	d.failed = make(chan error, 16)
	if err := s.start(calloutConfig(d.issuer, more)); err != nil {
		return nil, err
	}
	nc, err := s.dial(nats.UserInfo("auth", "auth"))
	if err != nil {
		return nil, err
	}
	return nc, d.serve(nc)
}

func (d *decider) bobGetsIn(s *server) error {
	denied := make(chan error, 4)
	nc, err := s.dial(nats.UserInfo("bob", "secret"),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { denied <- err }))
	if err != nil {
		select {
		case failed := <-d.failed:
			return fmt.Errorf("%w: %w", err, failed)
		default:
			return err
		}
	}
	defer nc.Close()
	nc.Publish("bob.x", nil)
	nc.Publish("alice.x", nil)
	nc.Flush()
	select {
	case <-denied:
		return nil
	case <-time.After(2 * time.Second):
		return errors.New("bob may publish what was not allowed")
	}
}

// calloutCertificates tells the service the certificates by which a client has been verified.
func calloutCertificates(s *server) error {
	a := certificates(s)
	told := make(chan *jwt.ClientTLS, 4)
	d := &decider{issuer: key(nkeys.CreateAccount), failed: make(chan error, 16)}
	d.decide = func(request *jwt.AuthorizationRequestClaims, user *jwt.UserClaims) string {
		told <- request.TLS
		return onlyBob(request, user)
	}
	verify := `
tls { cert_file: "server.pem", key_file: "server.key", ca_file: "ca.pem", verify: true }`
	if err := s.start(calloutConfig(d.issuer, "") + verify); err != nil {
		return err
	}
	nc, err := s.dial(nats.UserInfo("auth", "auth"), a.root(), a.shows("client"))
	if err != nil {
		return err
	}
	defer nc.Close()
	if err := d.serve(nc); err != nil {
		return err
	}
	var chain []string
	for _, name := range []string{"client.pem", "ca.pem"} {
		pem, err := os.ReadFile(filepath.Join(s.folder, name))
		if err != nil {
			return err
		}
		chain = append(chain, string(pem))
	}
	if err := s.admits(nats.UserInfo("bob", "secret"), a.root(), a.shows("client")); err != nil {
		return err
	}
	tls := <-told
	if len(tls.Certs) != 0 || len(tls.VerifiedChains) != 1 || !slices.Equal(tls.VerifiedChains[0], chain) {
		return fmt.Errorf("told of %v", tls)
	}
	return nil
}

func callout(s *server) error {
	d := &decider{issuer: key(nkeys.CreateAccount), decide: onlyBob}
	nc, err := withDecider(s, d, "")
	if err != nil {
		return err
	}
	defer nc.Close()
	return all(
		func() error { return d.bobGetsIn(s) },
		func() error { return s.refuses(nats.UserInfo("bob", "wrong")) },
		func() error { return s.refuses() },
	)
}

func calloutEncrypted(s *server) error {
	d := &decider{issuer: key(nkeys.CreateAccount), xkey: key(nkeys.CreateCurveKeys), decide: onlyBob}
	nc, err := withDecider(s, d, "xkey: "+public(d.xkey))
	if err != nil {
		return err
	}
	defer nc.Close()
	return all(
		func() error { return d.bobGetsIn(s) },
		func() error { return s.refuses(nats.UserInfo("bob", "wrong")) },
	)
}

// calloutDenies has answers that are signed by somebody else, for an account that is not there, or for
// another server.
func calloutDenies(s *server) error {
	d := &decider{issuer: key(nkeys.CreateAccount)}
	d.decide = func(request *jwt.AuthorizationRequestClaims, user *jwt.UserClaims) string {
		user.Audience = request.ConnectOptions.Username
		return ""
	}
	nc, err := withDecider(s, d, "")
	if err != nil {
		return err
	}
	defer nc.Close()
	trusted := d.issuer
	return all(
		func() error { return s.admits(nats.UserInfo("APP", "x")) },
		func() error { return s.refuses(nats.UserInfo("NOPE", "x")) },
		func() error { d.issuer = key(nkeys.CreateAccount); return s.refuses(nats.UserInfo("APP", "x")) },
		func() error { d.issuer = trusted; return s.admits(nats.UserInfo("APP", "x")) },
	)
}

func calloutSilent(s *server) error {
	d := &decider{issuer: key(nkeys.CreateAccount)}
	if err := s.start(calloutConfig(d.issuer, "")); err != nil {
		return err
	}
	if err := s.refuses(nats.UserInfo("bob", "secret")); err != nil {
		return err
	}
	nc, err := s.dial(nats.UserInfo("auth", "auth"))
	if err != nil {
		return err
	}
	defer nc.Close()
	if _, err := nc.SubscribeSync("$SYS.REQ.USER.AUTH"); err != nil {
		return err
	}
	nc.Flush()
	begin := time.Now()
	late, err := s.dial(nats.UserInfo("bob", "secret"))
	if err == nil {
		late.Close()
		return errors.New("somebody was let in whom nobody knows")
	}
	if waited := time.Since(begin); waited < 500*time.Millisecond || waited > 4*time.Second {
		return fmt.Errorf("refused after %v", waited)
	}
	return nil
}

func calloutOperator(s *server) error {
	w := newWorld()
	service := key(nkeys.CreateUser)
	w.claims.Authorization.AuthUsers.Add(public(service))
	token := encoded(jwt.NewUserClaims(public(service)), w.account)
	seed, _ := service.Seed()
	d := &decider{issuer: w.account, failed: make(chan error, 16)}
	d.decide = func(request *jwt.AuthorizationRequestClaims, user *jwt.UserClaims) string {
		if request.ConnectOptions.Token != "good" {
			return "nobody knows you"
		}
		return ""
	}
	sentinel := jwt.NewUserClaims(public(key(nkeys.CreateUser)))
	sentinel.BearerToken = true
	bearer := encoded(sentinel, w.account)
	as := func(token string) []nats.Option {
		show := func() (string, error) { return bearer, nil }
		return []nats.Option{nats.UserJWT(show, func([]byte) ([]byte, error) { return nil, nil }), nats.Token(token)}
	}
	if err := s.start(w.memory()); err != nil {
		return err
	}
	nc, err := s.dial(nats.UserJWTAndSeed(token, string(seed)))
	if err != nil {
		return err
	}
	defer nc.Close()
	return all(
		func() error { return d.serve(nc) },
		func() error { return s.admits(as("good")...) },
		func() error { return s.refuses(as("bad")...) },
	)
}
