resource "bitbucket_deploy_key" "ci" {
  workspace  = "acme"
  repository = "website"
  key        = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL0xmmM16/rqcPjqJ2Hy96C/HSpWnwFq+08AaVE3+yUu ci-2026-04"
  label      = "CI"
}
