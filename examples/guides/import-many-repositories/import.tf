locals {
  repositories = toset(["website", "api", "worker"])
}

# Finds the key of each repository by its label.
data "bitbucket_deploy_key" "existing" {
  for_each = local.repositories

  workspace  = "acme"
  repository = each.key
  label      = "CI"
}

import {
  for_each = data.bitbucket_deploy_key.existing
  to       = bitbucket_deploy_key.ci[each.key]
  id       = each.value.id
}

resource "bitbucket_deploy_key" "ci" {
  for_each = local.repositories

  workspace  = "acme"
  repository = each.key
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILBqHsX3+q0qSag0M1kjnrojMhitRlA4SgN95NHQ65wS ci@example.com"
  label      = "CI"
}
