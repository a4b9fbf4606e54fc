package main

import "os"

// awaitEnd returns when the parent process has ended. It needs no signals, because Windows
// lets a process wait for any other process.
func awaitEnd(parent int, _ <-chan os.Signal) {
	if process, err := os.FindProcess(parent); err == nil {
		_, _ = process.Wait()
	}
}
