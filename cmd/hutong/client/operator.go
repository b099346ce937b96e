package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// Operator asks a running exchange to do what operators may, as a person whose
// password is in a file. Its fields are flags of the commands that embed it.
type Operator struct {
	URL          string `help:"Ask this running exchange instead of opening a data directory." placeholder:"URL"`
	User         string `help:"With --url: login of somebody who may ask this." placeholder:"LOGIN"`
	PasswordFile string `name:"password-file" type:"path" help:"With --url: file with the password; without it no token is sent." placeholder:"FILE"`
}

// maxReport bounds what an operator's question may answer: a backup of a large
// store lists its files.
const maxReport = 64 << 20

// Ask sends one request without a body and decodes the JSON of its answer into
// out; any status but 200 is an error with the answer's own words.
func (o *Operator) Ask(ctx context.Context, method, path string, out any) error {
	base := strings.TrimSuffix(o.URL, "/")
	req, err := http.NewRequestWithContext(ctx, method, base+path, nil)
	if err != nil {
		return err
	}
	if o.PasswordFile != "" {
		password, err := os.ReadFile(o.PasswordFile)
		if err != nil {
			return fmt.Errorf("--password-file: %w", err)
		}
		token, err := Login{Base: base, User: o.User, Password: strings.TrimSpace(string(password))}.Token(ctx)
		if err != nil {
			return err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxReport))
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", res.Status, OutcomeText(body))
	}
	return json.Unmarshal(body, out)
}
