package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

// maxNamedWait is the longest wait that a 503 may request. If a 503 requests a longer wait,
// the request fails at once.
const maxNamedWait = 10 * time.Minute

// retrier sends a request again if that is safe. It does not handle a 429. The rate limiter
// handles a 429, because maxRetries must not bound the attempts after a 429.
type retrier struct {
	maxRetries int
	firstWait  time.Duration
}

// client returns a client for one request at a time. It sets lost if Bitbucket may have
// carried out an attempt whose reply the caller does not get.
func (r retrier) client(client *http.Client, method string, lost *bool) *retryablehttp.Client {
	var last verdict
	return &retryablehttp.Client{
		HTTPClient:   client,
		RetryMax:     r.maxRetries,
		RetryWaitMin: r.firstWait,
		RetryWaitMax: maxRetryWait,
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
		CheckRetry: func(ctx context.Context, response *http.Response, err error) (bool, error) {
			last = r.classify(ctx, method, response, err, time.Now())
			*lost = *lost || last.lost
			return last.retry, err
		},
		Backoff: func(first, longest time.Duration, attempt int, _ *http.Response) time.Duration {
			if last.wait != nil {
				return *last.wait
			}
			return backoff(first, longest, attempt)
		},
	}
}

// verdict is the result of classify for one attempt.
type verdict struct {
	// retry reports whether the request may be sent again.
	retry bool
	// wait is how long to wait before the retry, nil for a back-off.
	wait *time.Duration
	// lost reports whether Bitbucket may have carried out the attempt, but the caller does
	// not get the reply.
	lost bool
}

// classify decides whether to send a request again after a transient failure. It allows that
// if the attempt was certainly not carried out, or if the method is GET or DELETE, because a
// second GET or DELETE does no harm. It allows no retry after the caller has stopped.
func (r retrier) classify(ctx context.Context, method string, response *http.Response, err error, now time.Time) verdict {
	done := maybeDone(response, err)
	switch {
	case isFinal(err):
		return verdict{}
	case ctx.Err() != nil || inGracePeriod(ctx):
		return verdict{lost: err != nil && done}
	case isUntrusted(err):
		return verdict{}
	case errors.Is(err, ErrUnusable): // A retry would get the same reply.
		return verdict{lost: true}
	case err == nil && response.StatusCode == http.StatusTooManyRequests: // The rate limiter has waited as long as allowed.
		return verdict{}
	}
	var wait *time.Duration
	if err == nil {
		named, ok := retryAfter(response, now)
		if named > maxNamedWait {
			return verdict{}
		}
		if ok {
			wait = &named
		}
	}
	transient, _ := retryablehttp.DefaultRetryPolicy(ctx, response, err)
	repeatable := !done || method == http.MethodGet || method == http.MethodDelete
	return verdict{retry: transient && repeatable, wait: wait, lost: transient && done}
}

// isFinal reports whether the request was not sent because of the rate limit or because no
// access token could be fetched. Both have already been retried as often as allowed.
func isFinal(err error) bool {
	_, limited := errors.AsType[*RateLimitError](err)
	_, token := errors.AsType[*TokenError](err)
	return limited || token
}

// isUntrusted reports whether the server has shown a certificate that this machine
// does not trust.
func isUntrusted(err error) bool {
	_, untrusted := errors.AsType[*tls.CertificateVerificationError](err)
	return untrusted
}

// maybeDone reports whether Bitbucket may have carried out an attempt. A status below 300
// means success. After a status of 500 or more, the outcome is unknown.
func maybeDone(response *http.Response, err error) bool {
	if err != nil {
		_, notSent := errors.AsType[notSentError](err)
		return !notSent
	}
	return response.StatusCode < 300 || response.StatusCode >= 500
}

// notSentError is the reason why a request was not sent.
type notSentError struct{ error }

// Unwrap returns the reason.
func (e notSentError) Unwrap() error { return e.error }
