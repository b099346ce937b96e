package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/gateway/audit"
)

type verifyAuditCmd struct {
	offline
	URL          string `help:"Ask a running exchange instead of opening --data." placeholder:"URL"`
	User         string `help:"With --url: an auditor's login."`
	PasswordFile string `name:"password-file" type:"path" help:"With --url: file with the auditor's password." placeholder:"FILE"`
}

// Run proves the chain whole or says where it is broken; the exit status is
// the answer.
func (v *verifyAuditCmd) Run(ctx context.Context) error {
	report, err := v.report(ctx)
	if err != nil {
		return err
	}
	out, err := json.MarshalIndent(report, "", "  ")
	if err != nil {
		return err
	}
	fmt.Println(string(out))
	if !report.Whole {
		return errors.New("the audit trail is damaged")
	}
	return nil
}

func (v *verifyAuditCmd) report(ctx context.Context) (report audit.Report, err error) {
	if v.URL != "" {
		return v.ask(ctx)
	}
	err = v.run(ctx, func(e *exchange.Exchange) error {
		report, err = audit.Verify(ctx, e.Store)
		return err
	})
	return report, err
}

// ask lets the running exchange verify its own chain.
func (v *verifyAuditCmd) ask(ctx context.Context) (report audit.Report, err error) {
	password, err := os.ReadFile(v.PasswordFile)
	if err != nil {
		return report, fmt.Errorf("--password-file: %w", err)
	}
	base := strings.TrimSuffix(v.URL, "/")
	token, err := client.Login{Base: base, User: v.User, Password: strings.TrimSpace(string(password))}.Token(ctx)
	if err != nil {
		return report, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/audit/verify", nil)
	if err != nil {
		return report, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return report, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return report, err
	}
	if res.StatusCode != http.StatusOK {
		return report, fmt.Errorf("%s: %s", res.Status, client.OutcomeText(body))
	}
	return report, json.Unmarshal(body, &report)
}
