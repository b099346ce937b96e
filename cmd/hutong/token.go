package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"hutong/cmd/hutong/client"
)

type tokenCmd struct {
	URL          string `default:"http://127.0.0.1:8080" help:"The exchange."`
	Client       string `help:"A system's client id, with --key; for a user the app, default console-app."`
	Key          string `type:"path" help:"The system's private key (PEM)." placeholder:"FILE"`
	User         string `help:"A user's login, with --password-file."`
	PasswordFile string `name:"password-file" type:"path" help:"File with the password." placeholder:"FILE"`
	Redirect     string `help:"Redirect URI of the app; default URL/console/." placeholder:"URL"`
	Scope        string `help:"Scopes to ask for; default is what the client may have."`
}

// Run prints an access token, and nothing else, on standard output.
func (t *tokenCmd) Run(ctx context.Context) error {
	base := strings.TrimSuffix(t.URL, "/")
	var token string
	if t.User == "" && (t.Client == "" || t.Key == "") {
		return fmt.Errorf("give --client and --key of a system, or --user and --password-file")
	}
	if t.User == "" {
		key, err := os.ReadFile(t.Key)
		if err != nil {
			return fmt.Errorf("--key: %w", err)
		}
		if token, err = client.SystemTokens(base, t.Client, key)(ctx); err != nil {
			return err
		}
	} else {
		password, err := os.ReadFile(t.PasswordFile)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		l := client.Login{Base: base, User: t.User, Password: strings.TrimSpace(string(password)), Client: t.Client, Redirect: t.Redirect, Scope: t.Scope}
		if token, err = l.Token(ctx); err != nil {
			return err
		}
	}
	fmt.Println(token)
	return nil
}
