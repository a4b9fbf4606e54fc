data "bitbucket_deploy_keys" "example" {
  workspace  = "acme"
  repository = "website"
}

# Several keys can have the same label, so the value is a list for each label.
output "fingerprints" {
  value = { for key in data.bitbucket_deploy_keys.example.keys : key.label => key.fingerprint_sha256... }
}

output "never_used" {
  value = [for key in data.bitbucket_deploy_keys.example.keys : key.id if key.last_used == null]
}
