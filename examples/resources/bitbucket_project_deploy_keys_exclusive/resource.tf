resource "bitbucket_project_deploy_key" "web" {
  workspace = "acme"
  project   = "WEB"
  key       = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIG9hIdPvHPaAiAm350daMWXBtdYqJXzCxAFhZts03uS9 ci@example.com"
  label     = "CI"
}

# The first apply only stores the other keys of the project. The next plan shows them as removed,
# and its apply removes them.
resource "bitbucket_project_deploy_keys_exclusive" "web" {
  workspace = "acme"
  project   = "WEB"
  key_ids   = [bitbucket_project_deploy_key.web.key_id]
}
