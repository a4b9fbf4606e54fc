resource "bitbucket_deploy_key" "example" {
  workspace  = "acme"
  repository = "api"
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINS5oAan3LSEP6ZSg8ZJZfenxxpgPMpaZbwTnVxNlrhO ci@example.com"
  label      = "CI"

  lifecycle {
    create_before_destroy = true
  }
}
