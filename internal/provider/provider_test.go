package provider

import (
	"testing"

	"github.com/bitbucket-deploy-keys/terraform-provider-bitbucket/internal/acctest"
)

func TestMain(m *testing.M) { acctest.Main(m, NewServer) }
