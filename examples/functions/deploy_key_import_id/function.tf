locals {
  # The ID of the key in each repository
  key_ids = {
    website = 10958984
    api     = 10958985
    worker  = 10958986
  }
}

import {
  for_each = local.key_ids
  to       = bitbucket_deploy_key.ci[each.key]
  id       = provider::bitbucket::deploy_key_import_id("acme", each.key, each.value)
}

resource "bitbucket_deploy_key" "ci" {
  for_each = local.key_ids

  workspace  = "acme"
  repository = each.key
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGNA5n9yBKHFxnzbbzRtcToDZOpJV6R/J7oO07CdngYb ci@example.com"
  label      = "CI"
}
