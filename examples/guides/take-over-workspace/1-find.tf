data "bitbucket_deploy_keys" "all" {
  workspace = "acme"
}

output "keys" {
  value = {
    for key in data.bitbucket_deploy_keys.all.keys : "${key.repository}/${key.key_id}" => {
      id         = key.id
      repository = key.repository
      key        = key.key
      label      = key.label
      comment    = key.comment
    }
  }
}
