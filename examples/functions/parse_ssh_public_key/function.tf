locals {
  public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILWsAqFXb/XeMQ7zdQzbFJwEnD2FRSOpzxvtK8+jQtmO ci@example.com"
  parsed     = provider::bitbucket::parse_ssh_public_key(local.public_key)
}

resource "bitbucket_deploy_key" "example" {
  workspace  = "acme"
  repository = "website"
  key        = local.public_key
  label      = "CI"

  lifecycle {
    precondition {
      condition     = local.parsed.type != "ssh-rsa" || local.parsed.bits >= 3072
      error_message = "An RSA key must have 3072 bits or more; this one has ${local.parsed.bits}."
    }
  }
}

output "fingerprint" {
  value = local.parsed.fingerprint_sha256
}
