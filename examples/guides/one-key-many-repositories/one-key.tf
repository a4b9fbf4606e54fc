resource "bitbucket_deploy_key" "ci" {
  for_each = toset(["website", "api", "worker"])

  workspace  = "acme"
  repository = each.key
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILBqHsX3+q0qSag0M1kjnrojMhitRlA4SgN95NHQ65wS ci@example.com"
  label      = "CI"
}
