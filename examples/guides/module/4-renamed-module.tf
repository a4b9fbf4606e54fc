module "readers" {
  source = "./deploy-keys"

  workspace    = "acme"
  repositories = ["site", "api"]

  readers = {
    ci     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBK/OblD7cTlqAJEKdeLhVQYiW5YBnS7KCEw0qgt+vUj ci@example.com"
    backup = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJCJA1mhop9PJZ/9gMCZzFCT/hR919HA1mKwi4LibTi5 backup@example.com"
  }
}

moved {
  from = module.deploy_keys
  to   = module.readers
}
