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

	"github.com/gin-gonic/gin"

	"hutong/fhir"
	"hutong/fhir/rest"
	"hutong/gateway/audit"
	"hutong/gateway/principal"
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
	err = v.run(ctx, func(e *exchange) error {
		report, err = audit.Verify(ctx, e.store)
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
	token, err := login{base: base, user: v.User, password: strings.TrimSpace(string(password))}.token(ctx)
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
		return report, fmt.Errorf("%s: %s", res.Status, outcomeText(body))
	}
	return report, json.Unmarshal(body, &report)
}

// verifyAudit is GET /api/audit/verify, for auditors.
func (e *exchange) verifyAudit(c *gin.Context) {
	p := principal.From(c.Request.Context())
	if p == nil || !p.Has(principal.Auditor) {
		rest.WriteError(c, fhir.Errorf(fhir.Forbidden, "only an auditor verifies the trail"))
		return
	}
	report, err := audit.Verify(c.Request.Context(), e.store)
	if err != nil {
		rest.WriteError(c, err)
		return
	}
	c.JSON(http.StatusOK, report)
}
