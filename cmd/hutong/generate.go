package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"hutong/testdata/region"
)

// operator is the folder and the client name of the registry's bundles, which
// no hospital posts.
const operator = "operator"

type generateCmd struct {
	People int       `default:"1000" help:"How many persons the region has."`
	Seed   uint64    `default:"1" help:"The same seed gives the same bytes."`
	Now    time.Time `help:"The moment up to which records reach; default is a fixed date."`
	Out    string    `default:"region" type:"path" help:"Folder to write: one sub-folder a client, one transaction bundle a file."`
}

// Run writes the bundles, and truth.csv: which record is whose.
func (g *generateCmd) Run(ctx context.Context) error {
	opt := region.Options{People: g.People, Seed: g.Seed, Now: g.Now}
	count := map[string]int{}
	resources := 0
	for post := range region.Generate(opt) {
		if err := ctx.Err(); err != nil {
			return err
		}
		client := clientOf(post)
		dir := filepath.Join(g.Out, client)
		if count[client] == 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
		}
		count[client]++
		resources += post.Resources
		name := filepath.Join(dir, fmt.Sprintf("%08d.json", count[client]))
		if err := os.WriteFile(name, post.Bundle, 0o644); err != nil {
			return err
		}
	}
	if err := writeTruth(filepath.Join(g.Out, "truth.csv"), opt); err != nil {
		return err
	}
	fmt.Printf("%d resources for %d persons in %s\n", resources, g.People, g.Out)
	return nil
}

// clientOf is the OAuth2 client that posts the bundle.
func clientOf(p region.Post) string {
	if p.Client == "" {
		return operator
	}
	return p.Client
}

// writeTruth lists for each source record the person that it is of.
func writeTruth(name string, opt region.Options) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() {
		if e := f.Close(); err == nil {
			err = e
		}
	}()
	w := bufio.NewWriter(f)
	fmt.Fprintln(w, "person,organization,system,mrn")
	for r := range region.Truth(opt) {
		fmt.Fprintf(w, "%d,%s,%s,%s\n", r.Person, r.Org, r.System, r.MRN)
	}
	return w.Flush()
}
