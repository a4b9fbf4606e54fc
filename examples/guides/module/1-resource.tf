resource "bitbucket_deploy_key" "ci" {
  workspace  = "acme"
  repository = "website"
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBK/OblD7cTlqAJEKdeLhVQYiW5YBnS7KCEw0qgt+vUj ci@example.com"
  label      = "ci"
}
