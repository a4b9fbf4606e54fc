//go:build !windows

package main

import (
	"os"
	"time"
)

// checkParent is how often awaitEnd checks whether the parent process has ended.
const checkParent = time.Second

// awaitEnd returns when the parent process has ended: the system then gives this process a
// different parent. A signal makes awaitEnd check at once.
func awaitEnd(parent int, signals <-chan os.Signal) {
	ticker := time.NewTicker(checkParent)
	defer ticker.Stop()
	for os.Getppid() == parent {
		select {
		case <-ticker.C:
		case <-signals:
		}
	}
}
