locals {
  deploy_keys = {
    ci     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9hIdPvHPaAiAm350daMWXBtdYqJXzCxAFhZts03uS9 ci@example.com"
    backup = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILBqHsX3+q0qSag0M1kjnrojMhitRlA4SgN95NHQ65wS backup@example.com"
  }
}

resource "bitbucket_deploy_key" "website" {
  for_each = local.deploy_keys

  workspace  = "acme"
  repository = "website"
  key        = each.value
  label      = each.key
}

# The first apply only stores the other keys of the repository. The next plan shows them as
# removed, and its apply removes them.
resource "bitbucket_deploy_keys_exclusive" "website" {
  workspace  = "acme"
  repository = "website"
  key_ids    = [for key in bitbucket_deploy_key.website : key.key_id]
}
