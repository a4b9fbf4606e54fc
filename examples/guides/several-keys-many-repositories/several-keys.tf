locals {
  public_keys = {
    ci     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBK/OblD7cTlqAJEKdeLhVQYiW5YBnS7KCEw0qgt+vUj ci@example.com"
    backup = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJCJA1mhop9PJZ/9gMCZzFCT/hR919HA1mKwi4LibTi5 backup@example.com"
  }

  # The readers of each repository.
  readers = {
    website = ["ci", "backup"]
    api     = ["ci", "backup"]
    worker  = ["ci"]
  }

  deploy_keys = merge([
    for repository, names in local.readers : {
      for name in names : "${repository}/${name}" => { repository = repository, name = name }
    }
  ]...)
}

resource "bitbucket_deploy_key" "readers" {
  for_each = local.deploy_keys

  workspace  = "acme"
  repository = each.value.repository
  key        = local.public_keys[each.value.name]
  label      = each.value.name
}
