resource "bitbucket_project_deploy_key" "example" {
  workspace = "acme"
  project   = "WEB"
  key       = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9hIdPvHPaAiAm350daMWXBtdYqJXzCxAFhZts03uS9 ci@example.com"
  label     = "CI"
}
