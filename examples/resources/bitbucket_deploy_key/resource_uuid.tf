# If you write the UUID of the repository, you need no change when it is renamed.
resource "bitbucket_deploy_key" "example" {
  workspace  = "acme"
  repository = "{85d08b4e-571d-44e9-a507-fa476535aa98}"
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9hIdPvHPaAiAm350daMWXBtdYqJXzCxAFhZts03uS9 ci@example.com"
  label      = "CI"
}
