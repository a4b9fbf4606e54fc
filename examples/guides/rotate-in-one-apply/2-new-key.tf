resource "bitbucket_deploy_key" "example" {
  workspace  = "acme"
  repository = "api"
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAID94eiFNms/2hPLp3Wrx/CC/nyTNxqsDtDqvxce3+6Xy ci@example.com"
  label      = "CI"

  lifecycle {
    create_before_destroy = true
  }
}
