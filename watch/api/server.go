package api

import (
	"net/http"
	"time"
)

// Server is an HTTP server for a Handler, with the bounds that keep slow or
// silent clients from holding it: 10 s for a header, 30 s for a whole request,
// 75 s between two of them. It has no address and no TLS.
func Server(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       75 * time.Second,
		MaxHeaderBytes:    64 << 10,
	}
}
