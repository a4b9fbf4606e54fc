// Package acceptance tests the provider as a whole: with the real CLI, against a Bitbucket
// in memory. It contains the tests that belong to no single file, such as the fault matrix,
// random sequences of changes, the commands and examples of the documentation, and the
// installation of a release.
package acceptance
