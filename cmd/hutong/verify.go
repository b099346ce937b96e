package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"hutong/cmd/hutong/client"
	"hutong/cmd/hutong/exchange"
	"hutong/gateway/audit"
)

type verifyAuditCmd struct {
	offline
	client.Operator
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
		err = v.Ask(ctx, http.MethodGet, "/api/audit/verify", &report)
		return report, err
	}
	if err := errors.Join(v.Check(), v.Existing()); err != nil {
		return report, err
	}
	err = v.run(ctx, func(e *exchange.Exchange) error {
		report, err = audit.Verify(ctx, e.Store)
		return err
	})
	return report, err
}
