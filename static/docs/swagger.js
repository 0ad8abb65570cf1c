// Swagger UI over our own document; everything is served from this host.
const target = document.getElementById("swagger-ui");
SwaggerUIBundle({
  url: target.dataset.document,
  domNode: target,
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
});
