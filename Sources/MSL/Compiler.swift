import MIL
import Runtime

#if os(Linux) || os(macOS)
    /// The machine's clang, told to make shared objects of sources in the Metal Shading Language.
    struct Compiler {
        let path: String

        /// `MARTLET_CLANG`, else clang in the `PATH`, in a Swift toolchain's folder, or of Apple's tools; `unsupported`
        /// where there is none.
        init() throws {
            if let named = System.environment("MARTLET_CLANG") {
                guard System.isExecutable(named) else {
                    throw Failure(
                        .unsupported,
                        "MARTLET_CLANG is '\(named)', which is no program. A kernel in Metal's language runs on the CPU "
                            + "by clang: name one there, or unset it.")
                }
                path = named
                return
            }
            guard let found = Compiler.places.first(where: System.isExecutable) else {
                throw Failure(
                    .unsupported,
                    "A kernel in Metal's language runs on the CPU by clang, and there is none here: install it (apt install "
                        + "clang, dnf install clang, xcode-select --install) or name one in MARTLET_CLANG.")
            }
            path = found
        }

        private static var places: [String] {
            let folders = (System.environment("PATH") ?? "").split(separator: ":").filter { $0.hasPrefix("/") }
            let names = ["clang++", "clang"] + (14...24).reversed().map { "clang++-\($0)" }
            let inPath = names.flatMap { name in folders.map { "\($0)/\(name)" } }
            let swift = folders.map { String($0) }.filter { System.isExecutable($0 + "/swiftc") }.map { $0 + "/clang" }
            return inPath + swift + ["/opt/swift/usr/bin/clang", "/usr/bin/clang", "/usr/local/bin/clang"]
        }

        /// Everything the object depends on but the source.
        var identity: String {
            [path, "\(System.size(of: path) ?? 0)", "\(System.modified(path))", System.processor]
                .joined(separator: "\n") + Compiler.options.joined(separator: " ") + StandardLibrary.text
        }

        private static let options =
            [
                "-std=c++17", "-O2", "-Wno-everything", "-fPIC", "-shared", "-nostdinc++", "-fno-exceptions",
                "-fno-rtti",
                "-fno-math-errno", "-ffp-contract=off",
                // A tensor may be a part of another, whose first element lies anywhere.
                "-fmax-type-align=8", "-fno-strict-aliasing", "-fwrapv", "-fsigned-char",
                "-fvisibility=hidden", "-fno-threadsafe-statics", "-fno-stack-protector",
                "-Werror=frame-larger-than", "-Wframe-larger-than=\(Stacks.largestFrame)",
            ] + native
        #if arch(x86_64)
            // Halves are rounded after each operation, as on a GPU, on processors without arithmetic for them, too.
            private static let native = [
                "-march=native", "-Xclang", "-ffloat16-excess-precision=none", "-Xclang",
                "-fbfloat16-excess-precision=none",
            ]
        #else
            private static let native: [String] = []
        #endif
        private static let diagnostics = [
            "-fno-caret-diagnostics", "-fno-color-diagnostics", "-fdiagnostics-absolute-paths", "-ferror-limit=20",
            "-fno-elide-type",
        ]

        /// Compiles a source into the shared object `object`. What lies between is in a folder that goes.
        func compile(_ source: String, macros: [String: String], into object: String) throws {
            _ = try DiskCache.temporary { try compile(source, macros, into: object, by: $0) }
        }

        private func compile(
            _ source: String, _ macros: [String: String], into object: String, by folder: String
        ) throws {
            let (input, expanded) = (folder + "/source.cpp", folder + "/expanded.cpp")
            try System.write(
                "#line 1 \"\(Translation.sourceName)\"\n" + Compiler.withoutIncludes(source) + "\n", to: input)
            let defines = try macros.sorted { $0.key < $1.key }.map { try Compiler.define($0.key, $0.value) }
            let metal = ["-D__METAL__=1", "-D__METAL_VERSION__=320", "-D__METAL_MACOS__=1", "-D__HAVE_BFLOAT__=1"]
            try run(
                ["-E", "-x", "c++", "-undef", "-nostdinc", "-w"] + metal + defines + Compiler.diagnostics
                    + [input, "-o", expanded], source, folder)
            let text = try Translation(preprocessed: System.read(expanded) ?? "").text
            let translated = folder + "/kernel.cpp"
            try System.write("#line 1 \"metal_stdlib\"\n" + StandardLibrary.text + "\n" + text, to: translated)
            let linker = System.isExecutable(
                String(path.prefix(upTo: path.lastIndex(of: "/") ?? path.startIndex)) + "/ld.lld")
            #if os(Linux)
                let link = (linker ? ["-fuse-ld=lld"] : []) + ["-lm"]
            #else
                let link: [String] = []
            #endif
            try run(
                ["-x", "c++"] + Compiler.options + Compiler.diagnostics + [translated, "-o", object] + link, source,
                folder)
        }

        /// Runs clang; options that an older one does not know are left out.
        private func run(_ arguments: [String], _ source: String, _ folder: String) throws {
            let errors = folder + "/errors"
            var arguments = arguments
            while true {
                let status = try System.run(path, arguments, errors: errors)
                if status == 0 { return }
                let text = System.read(errors) ?? ""
                let unknown = arguments.indices.filter {
                    arguments[$0].hasPrefix("-f") && text.contains("'\(arguments[$0])'")
                        && text.contains("unknown argument")
                }
                guard unknown.isEmpty else {
                    // An option of clang's own front end has -Xclang before it.
                    let pairs = unknown.filter { $0 > 0 && arguments[$0 - 1] == "-Xclang" }.map { $0 - 1 }
                    for index in (unknown + pairs).sorted(by: >) { arguments.remove(at: index) }
                    continue
                }
                throw Diagnostics(text).failure(source: source, status: status, compiler: path)
            }
        }

        private static func define(_ name: String, _ value: String) throws -> String {
            let isWord = name.utf8.allSatisfy {
                $0 == 0x5f || $0 >= 0x30 && $0 <= 0x39 || $0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7a
            }
            guard isWord, let first = name.utf8.first, first >= 0x41 else {
                throw Failure(.invalidArgument, "'\(name)' is no name for a macro.")
            }
            return "-D\(name)=\(value)"
        }

        /// The source with the lines empty that include Metal's own headers, which always stand in front.
        private static func withoutIncludes(_ source: String) -> String {
            source.split(separator: "\n", omittingEmptySubsequences: false).map { line in
                let words = line.drop { $0 == " " || $0 == "\t" }
                guard words.hasPrefix("#") else { return String(line) }
                let rest = words.dropFirst().drop { $0 == " " || $0 == "\t" }
                guard rest.hasPrefix("include") else { return String(line) }
                let name = rest.dropFirst(7).drop { $0 == " " || $0 == "\t" || $0 == "<" || $0 == "\"" }
                return name.hasPrefix("metal_") || name.hasPrefix("simd/") ? "" : String(line)
            }.joined(separator: "\n")
        }
    }
#endif

/// What clang said, in words of the user's source.
struct Diagnostics {
    private let text: String

    init(_ text: String) { self.text = text }

    private struct Fault: Hashable {
        let line: Int
        let words: String
    }

    func failure(source: String, status: Int32, compiler: String) -> Failure {
        if text.contains("stack frame size") {
            return Failure(
                .malformed,
                "The Metal kernel takes more than \(Stacks.largestFrame) bytes for variables of each thread.")
        }
        let faults = faults
        guard let first = faults.first else {
            let said = text.split(separator: "\n").prefix(6).joined(separator: "\n")
            return Failure(
                .unsupported,
                "'\(compiler)' could not compile a Metal kernel for the CPU (status \(status)): \(said)")
        }
        let lines = source.split(separator: "\n", omittingEmptySubsequences: false)
        func told(_ fault: Fault) -> String {
            let isThere = lines.indices.contains(fault.line - 1)
            let line = isThere ? lines[fault.line - 1].drop { $0 == " " || $0 == "\t" } : ""
            return "line \(fault.line): \(fault.words)" + (line.isEmpty ? "" : "\n    \(line)")
        }
        let head = "The Metal source does not compile: "
        guard faults.count > 1 else { return Failure(.malformed, head + told(first)) }
        return Failure(
            .malformed, head + "\(faults.count) errors\n" + faults.prefix(5).map(told).joined(separator: "\n"))
    }

    /// Errors at their lines; one inside our headers is at the line that led there.
    private var faults: [Fault] {
        var (result, pending): ([Fault], String?) = ([], nil)
        for line in text.split(separator: "\n") {
            guard let found = Diagnostics.parts(line) else { continue }
            let isOurs = found.file.hasSuffix(Translation.sourceName)
            if found.kind.hasSuffix("error") {
                pending = isOurs ? nil : found.words
                if isOurs { result.append(Fault(line: found.line, words: found.words)) }
            } else if let words = pending, isOurs {
                result.append(Fault(line: found.line, words: words))
                pending = nil
            }
        }
        var seen: Set<Fault> = []
        return result.filter { seen.insert($0).inserted }.sorted { $0.line < $1.line }
    }

    /// `file:12:5: error: words`.
    private static func parts(_ text: Substring) -> (file: Substring, line: Int, kind: String, words: String)? {
        for kind in ["fatal error", "error", "note"] {
            guard let range = firstRange(of: ": \(kind): ", in: text) else { continue }
            let place = text[..<range.lowerBound].split(separator: ":")
            guard place.count >= 3, let line = Int(place[place.count - 2]) else { continue }
            return (place[place.count - 3], line, kind, cleaned(text[range.upperBound...]))
        }
        return nil
    }

    private static func firstRange(of needle: String, in text: Substring) -> Range<Substring.Index>? {
        var start = text.startIndex
        while start < text.endIndex {
            if text[start...].hasPrefix(needle) { return start..<text.index(start, offsetBy: needle.count) }
            start = text.index(after: start)
        }
        return nil
    }

    /// Without `(aka ...)`, `(vector of ...)` and our names.
    private static func cleaned(_ text: Substring) -> String {
        var result = String(text)
        // An assertion of ours says in plain words what is wrong.
        if result.hasPrefix("static assertion failed"), let words = firstRange(of: "': ", in: text) {
            result = String(text[words.upperBound...])
        }
        for mark in [" (aka '", " (vector of "] {
            while let range = firstRange(of: mark, in: result[...]),
                let end = result[range.upperBound...].firstIndex(of: ")")
            {
                // A type in quotes may have parentheses of its own.
                var close = end
                while mark == " (aka '", result[result.index(before: close)] != "'",
                    let next = result[result.index(after: close)...].firstIndex(of: ")")
                {
                    close = next
                }
                result.removeSubrange(range.lowerBound...close)
            }
        }
        for count in 2...4 {
            result = result.replacing(" __attribute__((ext_vector_type(\(count))))", with: "\(count)")
                .replacing("mk_bools<\(count)>", with: "bool\(count)")
        }
        for (ours, theirs) in [
            ("mk_types::", ""), ("mk_", ""), ("metal::precise::", ""), ("metal::_atomic", "atomic"),
            ("_Float16", "half"),
        ] {
            while let range = firstRange(of: ours, in: result[...]) { result.replaceSubrange(range, with: theirs) }
        }
        return result
    }
}
