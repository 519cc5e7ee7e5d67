# What Heat makes of a part of a template: references in it replaced by their values, which are
# $values by NAME or NAME.ATTRIBUTE.
def value($name): $values[$name] // error("no value for \($name)");
def resolve:
  if type == "array" then map(resolve)
  elif type != "object" then .
  elif keys == ["Ref"] then value(.Ref)
  elif keys == ["Fn::GetAtt"] then value(.["Fn::GetAtt"] | join("."))
  elif keys == ["Fn::Join"] then .["Fn::Join"] as [$by, $list] | [$list[] | resolve] | join($by)
  elif keys == ["Fn::Base64"] then .["Fn::Base64"] | resolve
  else map_values(resolve) end;
