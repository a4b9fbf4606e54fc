data "bitbucket_deploy_keys" "website" {
  workspace  = "acme"
  repository = "website"
}

output "keys_last_used" {
  value = [
    for key in data.bitbucket_deploy_keys.website.keys :
    "${key.label} ${key.comment}: ${coalesce(key.last_used, "never")}"
  ]
}
