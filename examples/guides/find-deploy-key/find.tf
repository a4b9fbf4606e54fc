data "bitbucket_deploy_keys" "leaked" {
  workspace          = "acme"
  fingerprint_sha256 = "SHA256:L7RaJ9z1fhgcsFNlyZKT0BcV1Pl9SBfp3vUurVqhRWU"
}

output "found_on" {
  value = data.bitbucket_deploy_keys.leaked.keys[*].id
}
