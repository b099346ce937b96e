package bulk

import (
	"context"
	"errors"
	"os"
	"slices"
	"syscall"
	"time"

	"hutong/fhir"
	"hutong/fhir/interact"
)

// underWay is how long a commit can be under way: it has its time already but
// is not visible yet. transactionTime is that much before the moment that is
// exported, so that an export since then misses nothing.
const underWay = time.Minute

// patience is how often, with growing pauses, a page is read again while the
// store or the audit trail is busy.
const patience = 6

// export writes the rest of a job's files, page by page. After each page the
// job is saved with what was written.
func (e *exports) export(ctx context.Context, j *job) error {
	acting, caller, err := e.cfg.Access.Resume(ctx, j.Acting)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(e.dir(j.ID), 0o700); err != nil {
		return unwritable(err)
	}
	w := &writer{dir: e.dir(j.ID), limit: e.cfg.Limits.FileBytes, files: j.Files}
	defer w.close()
	for j.Type < len(j.Types) {
		page, err := e.page(acting, caller, j)
		if err != nil {
			return err
		}
		for i := range page.Resources {
			if err := w.add(&page.Resources[i]); err != nil {
				return unwritable(err)
			}
		}
		if err := w.save(); err != nil {
			return unwritable(err)
		}
		j.T, j.After, j.Files = page.T, page.Next, slices.Clone(w.files)
		if page.Next == nil {
			j.Type++
			if len(page.Resources) == 0 && j.Type < len(j.Types) && j.Type > 1 {
				continue // nothing new that would be worth an fsync
			}
		}
		if err := e.jobs.put(ctx, j); errors.Is(err, fhir.E(fhir.Conflict)) {
			return errRemoved
		} else if err != nil {
			return err
		}
	}
	return nil
}

// errRemoved says that the job is not there any more.
var errRemoved = errors.New("bulk: the job was removed")

// page reads the next page of a job.
func (e *exports) page(ctx context.Context, caller interact.Caller, j *job) (*interact.ExportPage, error) {
	if j.T == 0 {
		j.At = e.cfg.Now().Add(-underWay).UTC()
	}
	pause := time.Second / 4
	for n := 1; ; n++ {
		page, err := e.cfg.Service.Export(ctx, caller, interact.ExportRequest{
			Type: j.Types[j.Type], Since: j.Since, Patients: j.Patients, T: j.T, After: j.After, Count: e.cfg.Limits.Page,
		})
		if !errors.Is(err, fhir.E(fhir.Busy)) || n == patience {
			return page, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// unwritable says of a failed file what the client may know.
func unwritable(err error) error {
	e := fhir.Errorf(fhir.Internal, "bulk: a file cannot be written: %w", err)
	e.Issues[0].Text = "a file cannot be written"
	if errors.Is(err, syscall.ENOSPC) {
		e.Issues[0].Text = "there is no room for the files"
	}
	return e
}
