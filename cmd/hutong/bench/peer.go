package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"hutong/cmd/hutong/bench/drive"
	"hutong/cmd/hutong/bench/report"
)

// versus loads the same region into our server and the peer and sends each
// workload to both in turns: ours, the peer's, ours, the peer's.
func (x *session) versus(ctx context.Context, patients int) (err error) {
	s, err := newServer(ctx, filepath.Join(x.dir, "data"), x.cmd)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	sc := report.Scale{Patients: patients}
	if _, err := s.start(ctx, "embedded"); err != nil {
		return err
	}
	ours, err := x.target(s)
	if err != nil {
		return err
	}
	theirs, software, err := x.peer(ctx)
	if err != nil {
		return err
	}
	if sc.Load, err = x.fill(ctx, ours, patients, false); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	p := &report.Peer{URL: theirs.client.Base(), Software: software}
	if p.Load, err = x.fill(ctx, theirs, patients, false); err != nil {
		return fmt.Errorf("load of the peer: %w", err)
	}
	sc.Resources = ours.sample.resources
	x.st.slices = 2
	results, err := x.workloads(ctx, []*target{ours, theirs})
	if err != nil {
		return err
	}
	sc.Results, p.Results = results[0], results[1]
	p.Ratios = report.Compare(sc.Results, p.Results)
	x.rep.Scales, x.rep.Peer = append(x.rep.Scales, sc), p
	x.rep.LeftOut = append(x.rep.LeftOut, "events: not compared, as FHIR servers have no common way to announce",
		"bytes a resource, cold start, idle RSS: not taken beside a peer")
	return nil
}

// peer makes the other server a target, and asks what it is.
func (x *session) peer(ctx context.Context) (*target, string, error) {
	c, err := drive.NewClient(x.cmd.Peer, 2*racers)
	if err != nil {
		return nil, "", err
	}
	c.Header = x.cmd.PeerHeader
	t := &target{
		name: "peer", client: c, as: func(string) *drive.Client { return c }, pid: x.cmd.PeerPID, org: writerOrg, epoch: time.Now().Unix(),
	}
	a, err := c.Conn().Do(ctx, &drive.Request{Method: "GET", Path: "/metadata"})
	if err != nil {
		return nil, "", fmt.Errorf("the peer's /metadata: %w", err)
	}
	var about struct {
		Software struct{ Name, Version string }
	}
	if err := json.Unmarshal(a.Body, &about); err != nil {
		return nil, "", fmt.Errorf("the peer's /metadata: %w", err)
	}
	return t, about.Software.Name + " " + about.Software.Version, nil
}
