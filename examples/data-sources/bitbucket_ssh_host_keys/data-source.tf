data "bitbucket_ssh_host_keys" "bitbucket" {}

# Compare these fingerprints with the fingerprints that Atlassian publishes.
output "bitbucket_fingerprints" {
  value = distinct([for key in data.bitbucket_ssh_host_keys.bitbucket.keys : "${key.type} ${key.fingerprint_sha256}"])
}
