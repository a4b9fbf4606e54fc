data "bitbucket_deploy_keys" "website" {
  workspace  = "acme"
  repository = "website"
}

output "last_used" {
  value = [
    for key in data.bitbucket_deploy_keys.website.keys :
    "${key.label} ${key.comment}: ${coalesce(key.last_used, "never")}"
  ]
}
