terraform {
  required_version = ">= 1.1"

  required_providers {
    bitbucket = {
      source  = "bitbucket-deploy-keys/bitbucket"
      version = "~> 0.1.0"
    }
  }
}

variable "workspace" {
  type        = string
  description = "Slug of the workspace."
}

variable "repositories" {
  type        = set(string)
  description = "Slugs of the repositories."
}

variable "readers" {
  type        = map(string)
  description = "Public keys by the name of the reader, which is also the label."
}

locals {
  deploy_keys = {
    for pair in setproduct(var.repositories, keys(var.readers)) :
    "${pair[0]}/${pair[1]}" => { repository = pair[0], reader = pair[1] }
  }
}

resource "bitbucket_deploy_key" "reader" {
  for_each = local.deploy_keys

  workspace  = var.workspace
  repository = each.value.repository
  key        = var.readers[each.value.reader]
  label      = each.value.reader
}

output "deploy_key_ids" {
  description = "ID of each deploy key, by repository and reader."
  value       = { for name, deploy_key in bitbucket_deploy_key.reader : name => deploy_key.id }
}
