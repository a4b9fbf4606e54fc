locals {
  keys = jsondecode(file("keys.json"))
}

import {
  for_each = local.keys
  to       = bitbucket_deploy_key.all[each.key]
  id       = each.value.id
}

resource "bitbucket_deploy_key" "all" {
  for_each = local.keys

  workspace  = "acme"
  repository = each.value.repository
  key        = each.value.key
  label      = each.value.label
  comment    = each.value.comment
}
