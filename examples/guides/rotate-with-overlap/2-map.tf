locals {
  public_keys = {
    "2026-04" = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL0xmmM16/rqcPjqJ2Hy96C/HSpWnwFq+08AaVE3+yUu ci-2026-04"
  }
}

resource "bitbucket_deploy_key" "ci" {
  for_each = local.public_keys

  workspace  = "acme"
  repository = "website"
  key        = each.value
  label      = "CI"
}

moved {
  from = bitbucket_deploy_key.ci
  to   = bitbucket_deploy_key.ci["2026-04"]
}
