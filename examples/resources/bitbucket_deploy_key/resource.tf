resource "bitbucket_deploy_key" "example" {
  workspace  = "acme"
  repository = "website"
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9hIdPvHPaAiAm350daMWXBtdYqJXzCxAFhZts03uS9 ci@example.com"
  label      = "CI"
}
