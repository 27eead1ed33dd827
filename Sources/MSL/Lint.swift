import MIL

// What the CPU does not have, and what C++ takes and the Metal Shading Language does not.

extension Failure {
    /// A fault of the source at one of its lines.
    static func atLine(_ line: Int, _ what: String, _ kind: Kind = .malformed) -> Failure {
        Failure(kind, "Line \(line) of the Metal source: \(what).")
    }
}

enum Lint {
    /// Words of C++ that are none of Metal's, and what to write.
    private static let foreign: [String: String] = [
        "double": "there is no double in Metal; write float",
        "new": "there is no 'new' in Metal", "delete": "there is no 'delete' in Metal",
        "throw": "there are no exceptions in Metal", "try": "there are no exceptions in Metal",
        "catch": "there are no exceptions in Metal", "virtual": "there are no virtual functions in Metal",
        "goto": "there is no goto in Metal", "dynamic_cast": "there is no dynamic_cast in Metal",
        "typeid": "there is no typeid in Metal", "thread_local": "there is no thread_local in Metal",
        "asm": "there is no assembly in Metal", "__asm__": "there is no assembly in Metal",
    ]

    /// Words of Metal's that only a GPU runs.
    private static let absent: [String: String] = [
        "sampler": "samplers", "simdgroup_matrix": "simdgroup matrices", "simdgroup_load": "simdgroup matrices",
        "simdgroup_store": "simdgroup matrices", "simdgroup_multiply_accumulate": "simdgroup matrices",
        "simdgroup_multiply": "simdgroup matrices", "stage_in": "[[stage_in]]", "imageblock": "image blocks",
        "vertex": "vertex functions", "fragment": "fragment functions",
        "visible_function_table": "function pointers", "intersection_function_table": "ray tracing",
        "intersector": "ray tracing", "acceleration_structure": "ray tracing", "command_buffer": "command buffers",
        "simdgroup_async_copy": "asynchronous copies", "simdgroup_event": "asynchronous copies",
        "cooperative_tensor": "tensors", "tensor_handle": "tensors", "os_log": "logs of shaders",
    ]

    static func check(_ tokens: [Token]) throws {
        for (index, token) in tokens.enumerated() where token.kind == .word {
            let next = index + 1 < tokens.count ? tokens[index + 1].text : ""
            if ["function_constant", "is_function_constant_defined"].contains(token.text) {
                throw Failure.atLine(
                    token.line,
                    "'\(token.text)': function constants are not given values here; bind a constant by value",
                    .unsupported)
            }
            if let words = foreign[token.text] { throw Failure.atLine(token.line, words) }
            if token.text == "std", next == "::" {
                throw Failure.atLine(token.line, "there is no std:: in Metal; its functions are in metal::")
            }
            if let what = absent[token.text] ?? textures(token.text) {
                throw Failure.atLine(
                    token.line, "'\(token.text)': \(what) do not run on the CPU; they need a device with Metal",
                    .unsupported)
            }
        }
    }

    private static func textures(_ word: String) -> String? {
        let types = ["1d", "2d", "3d", "cube", "_buffer"]
        for kind in ["texture", "depth"] where word.hasPrefix(kind) {
            if types.contains(where: word.dropFirst(kind.count).hasPrefix) { return "textures" }
        }
        return word.hasPrefix("simdgroup_float8x8") || word.hasPrefix("simdgroup_half8x8")
            || word.hasPrefix("simdgroup_bfloat8x8") ? "simdgroup matrices" : nil
    }

    private static let spaces: Set<String> = [
        "device", "constant", "thread", "threadgroup", "threadgroup_imageblock", "ray_data", "object_data",
    ]

    /// Pointers and references say where what they lead to lies.
    static func check(parameters: [ArraySlice<Token>]) throws {
        for parameter in parameters {
            var depth = 0
            for token in parameter {
                if token.text == "(" || token.text == "[" { depth += 1 }
                if token.text == ")" || token.text == "]" { depth -= 1 }
                if token.text == "=" { break }
                guard depth == 0, ["*", "&", "&&"].contains(token.text) else { continue }
                guard !parameter.contains(where: { spaces.contains($0.text) }) else { break }
                throw Failure.atLine(
                    token.line,
                    "the parameter '\(parameter.map(\.text).joined(separator: " "))' needs an address space: device, "
                        + "constant, thread or threadgroup")
            }
        }
    }

    private static let scalars: Set<String> = [
        "void", "bool", "char", "uchar", "short", "ushort", "int", "uint", "long", "ulong", "half", "float", "size_t",
        "int8_t", "uint8_t", "int16_t", "uint16_t", "int32_t", "uint32_t", "int64_t", "uint64_t",
    ]

    /// So do those that statements declare: `float *p = x;` has no address space.
    static func check(statements: ArraySlice<Token>) throws {
        var previous = ";"
        for (index, token) in zip(statements.indices, statements) {
            defer { previous = token.text }
            guard [";", "{", "}"].contains(previous), token.kind == .word else { continue }
            let words = statements[index...].prefix(6).drop { $0.text == "const" || $0.text == "volatile" }
            guard let type = words.first?.text, scalars.contains(type) || scalars.contains(String(type.dropLast())),
                let sign = words.dropFirst().first, ["*", "&"].contains(sign.text)
            else { continue }
            let name = words.dropFirst(2).drop { $0.text == "const" }
            guard name.first?.kind == .word, let end = name.dropFirst().first, ["=", ";", ","].contains(end.text) else {
                continue
            }
            throw Failure.atLine(
                token.line,
                "'\(type) \(sign.text)\(name.first?.text ?? "")' needs an address space: device, constant, thread or threadgroup"
            )
        }
    }

    /// No function calls itself, directly or through others; overloads and templates may share a name.
    static func check(recursion calls: [String: Set<String>], lines: [String: Int]) throws {
        var done: Set<String> = []
        func visit(_ name: String, _ path: [String]) throws {
            if path.contains(name) {
                throw Failure.atLine(lines[name] ?? 1, "'\(name)' calls itself; there is no recursion in Metal")
            }
            guard done.insert(name).inserted || !path.isEmpty, path.count < 64 else { return }
            for next in (calls[name] ?? []).sorted() where calls[next] != nil { try visit(next, path + [name]) }
        }
        for name in calls.keys.sorted() { try visit(name, []) }
    }
}
