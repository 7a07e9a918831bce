%% The HSS of the lab: the Cx side of the I-CSCF and the S-CSCF (TS 29.228), over TCP on Erlang's
%% diameter. Users come from a file of terms, commands over a line socket (see README).
-module(hss).
-export([main/1]).
%% callbacks of diameter
-export([peer_up/3, peer_down/3, pick_peer/4, prepare_request/3, prepare_retransmit/3,
         handle_answer/4, handle_error/4, handle_request/3]).

-include_lib("diameter/include/diameter.hrl").
-include_lib("diameter/include/diameter_gen_base_rfc6733.hrl").

-define(SERVICE, hss).
-define(CX, 16777216).
-define(TGPP, 10415).
%% TS 29.229 6.2: experimental results.
-define(FIRST_REGISTRATION, 2001).
-define(SUBSEQUENT_REGISTRATION, 2002).
-define(USER_UNKNOWN, 5001).
-define(IDENTITIES_DONT_MATCH, 5002).
-define(IDENTITY_NOT_REGISTERED, 5003).
-define(ROAMING_NOT_ALLOWED, 5004).
-define(SCHEME_NOT_SUPPORTED, 5006).

%% main([Config]): terms {key, Value} of the configuration file. Returns only on a fault.
main([File]) ->
    {ok, Config} = file:consult(File),
    Get = fun(Key) -> proplists:get_value(Key, Config) end,
    ets:new(users, [named_table, public]),
    ets:new(config, [named_table, public]),
    ets:insert(config, Config),
    [ets:insert(users, {list_to_binary(Impi), maps:from_list(Facts)})
     || {user, Impi, Facts} <- Config],
    ok = diameter:start(),
    ok = diameter:start_service(?SERVICE, service(Get)),
    {ok, _} = diameter:add_transport(?SERVICE, {listen, [
        {transport_module, diameter_tcp},
        {strict_mbit, false},
        {transport_config, [{ip, Get(ip)}, {port, Get(port)}, {reuseaddr, true}]}]}),
    hss_control:serve(Get(ip), Get(control_port), fun command/1).

service(Get) ->
    [{'Origin-Host', Get(host)}, {'Origin-Realm', Get(realm)}, {'Host-IP-Address', [Get(ip)]},
     {'Vendor-Id', ?TGPP}, {'Product-Name', "lab HSS"}, {'Supported-Vendor-Id', [?TGPP]},
     {'Vendor-Specific-Application-Id',
      [#'diameter_base_Vendor-Specific-Application-Id'{'Vendor-Id' = ?TGPP,
                                                       'Auth-Application-Id' = [?CX]}]},
     {string_decode, false}, {decode_format, map}, {restrict_connections, false},
     {application, [{alias, cx}, {dictionary, hss_cx}, {module, ?MODULE},
                    {answer_errors, callback}, {request_errors, answer}]}].

%% -- diameter ---------------------------------------------------------------------------------------

peer_up(_, {_, Caps}, State) ->
    #diameter_caps{origin_host = {_, Host}} = Caps,
    log("peer-up host=~s", [Host]),
    State.

peer_down(_, {_, Caps}, State) ->
    #diameter_caps{origin_host = {_, Host}} = Caps,
    log("peer-down host=~s", [Host]),
    State.

pick_peer([Peer | _], _, _, _) -> {ok, Peer};
pick_peer([], _, _, _) -> false.

prepare_request(#diameter_packet{msg = [Name | Avps]}, _, {_, Caps}) ->
    #diameter_caps{origin_host = {Host, Peer}, origin_realm = {Realm, PeerRealm}} = Caps,
    {send, [Name | Avps#{'Session-Id' => diameter:session_id(Host), 'Origin-Host' => Host,
                         'Origin-Realm' => Realm, 'Destination-Host' => Peer,
                         'Destination-Realm' => PeerRealm}]}.

prepare_retransmit(Packet, _, _) -> {send, Packet}.
handle_answer(#diameter_packet{msg = Msg}, _, _, _) -> {ok, Msg}.
handle_error(Reason, _, _, _) -> {error, Reason}.

handle_request(#diameter_packet{msg = [Name | Avps]}, _, {_, Caps}) ->
    #diameter_caps{origin_host = {Host, _}, origin_realm = {Realm, _}} = Caps,
    {Outcome, More} = answer(Name, Avps),
    log("~s impi=~s impu=~s outcome=~w", [Name, shown('User-Name', Avps),
                                          shown('Public-Identity', Avps), Outcome]),
    Base = #{'Session-Id' => maps:get('Session-Id', Avps),
             'Vendor-Specific-Application-Id' => application(), 'Auth-Session-State' => 1,
             'Origin-Host' => Host, 'Origin-Realm' => Realm},
    {reply, [answer_name(Name) | maps:merge(maps:merge(Base, result(Outcome)), More)]}.

application() ->
    #{'Vendor-Id' => ?TGPP, 'Auth-Application-Id' => [?CX]}.

answer_name('UAR') -> 'UAA';
answer_name('MAR') -> 'MAA';
answer_name('SAR') -> 'SAA';
answer_name('LIR') -> 'LIA'.

result(success) -> #{'Result-Code' => [2001]};
result(unable) -> #{'Result-Code' => [5012]};
result(Code) -> #{'Experimental-Result' => [#{'Vendor-Id' => ?TGPP,
                                              'Experimental-Result-Code' => Code}]}.

%% -- the procedures of TS 29.228 6 ------------------------------------------------------------------

answer('UAR', #{'User-Name' := Impi, 'Public-Identity' := Impu} = Avps) ->
    %% The I-CSCF copies the header's quotes.
    Visited = string:trim(binary_to_list(maps:get('Visited-Network-Identifier', Avps)), both, [$"]),
    Allowed = lists:member(Visited, config(visited_networks)),
    case pair(Impi, Impu) of
        {ok, #{server := Server}} -> {?SUBSEQUENT_REGISTRATION, #{'Server-Name' => [Server]}};
        {ok, _} when Allowed -> {?FIRST_REGISTRATION, #{'Server-Capabilities' =>
                                     [#{'Server-Name' => [config(scscf)]}]}};
        {ok, _} -> {?ROAMING_NOT_ALLOWED, #{}};
        {error, Code} -> {Code, #{}}
    end;
answer('MAR', #{'User-Name' := Impi, 'Public-Identity' := Impu} = Avps) ->
    Names = #{'User-Name' => [Impi], 'Public-Identity' => [Impu]},
    case pair(Impi, Impu) of
        {ok, User} ->
            {Outcome, Items} = vectors(Impi, User, maps:get('SIP-Auth-Data-Item', Avps)),
            {Outcome, Names#{'SIP-Number-Auth-Items' => [length(Items)],
                             'SIP-Auth-Data-Item' => Items}};
        {error, Code} -> {Code, Names}
    end;
answer('SAR', Avps) ->
    {Impi, Found} = subscriber(Avps),
    case Found of
        {ok, User} -> assign(Impi, User, Avps);
        {error, Code} -> {Code, #{}}
    end;
answer('LIR', #{'Public-Identity' := Impu}) ->
    case owner(Impu) of
        {_, #{server := Server}} -> {success, #{'Server-Name' => [Server]}};
        {_, _} -> {?IDENTITY_NOT_REGISTERED, #{}};
        none -> {?USER_UNKNOWN, #{}}
    end.

%% Server-Assignment-Type (TS 29.229 6.3.15): 0 and 9 onwards leave the state as it is.
assign(Impi, User, #{'Server-Assignment-Type' := Type} = Avps) when Type =:= 1; Type =:= 2;
                                                                     Type =:= 3 ->
    store(Impi, User#{server => maps:get('Server-Name', Avps)}),
    {success, profile(Impi, User, Avps)};
assign(Impi, User, #{'Server-Assignment-Type' := Type}) when Type >= 4, Type =< 8 ->
    store(Impi, maps:remove(server, User)),
    {success, #{'User-Name' => [Impi]}};
assign(Impi, User, #{'Server-Assignment-Type' := 0} = Avps) ->
    {success, profile(Impi, User, Avps)};
assign(Impi, User, #{'Server-Assignment-Type' := _}) ->
    store(Impi, maps:remove(server, User)),
    {success, #{'User-Name' => [Impi]}}.

profile(Impi, #{profile := Xml}, Avps) ->
    Charging = #{'Primary-Charging-Collection-Function-Name' => [config(ccf)]},
    Known = maps:get('User-Data-Already-Available', Avps) =:= 1,
    maps:merge(#{'User-Name' => [Impi], 'Charging-Information' => [Charging]},
               if Known -> #{}; true -> #{'User-Data' => [list_to_binary(Xml)]} end).

vectors(_, #{scheme := digest, ha1 := Ha1}, _) ->
    {success, [#{'SIP-Item-Number' => [1], 'SIP-Authentication-Scheme' => ["SIP Digest"],
                 'SIP-Digest-Authenticate' =>
                     [#{'Digest-Realm' => config(realm), 'Digest-Algorithm' => ["MD5"],
                        'Digest-QoP' => "auth", 'Digest-HA1' => Ha1}]}]};
vectors(Impi, #{scheme := aka} = User, Item) ->
    case resynchronised(User, maps:get('SIP-Authorization', Item, [])) of
        {ok, Sqn} ->
            #{k := K, opc := OPc} = User,
            Next = (Sqn + 32) band 16#ffffffffffff,
            store(Impi, User#{sqn => Next}),
            {Challenge, Xres, Ck, Ik} = hss_milenage:vector(
                unhex(K), unhex(OPc), crypto:strong_rand_bytes(16), <<Next:48>>, <<128, 0>>),
            {success, [#{'SIP-Item-Number' => [1],
                         'SIP-Authentication-Scheme' => ["Digest-AKAv1-MD5"],
                         'SIP-Authenticate' => [Challenge], 'SIP-Authorization' => [Xres],
                         'Confidentiality-Key' => [Ck], 'Integrity-Key' => [Ik]}]};
        false -> {unable, []}
    end;
vectors(_, _, _) ->
    {?SCHEME_NOT_SUPPORTED, []}.

%% SIP-Authorization in a MAR is RAND || AUTS (TS 29.229 6.3.11).
resynchronised(#{sqn := Sqn}, []) ->
    {ok, Sqn};
resynchronised(#{k := K, opc := OPc}, [<<Rand:16/binary, Auts:14/binary>>]) ->
    case hss_milenage:resync(unhex(K), unhex(OPc), Rand, Auts) of
        {ok, <<Sqn:48>>} ->
            log("resynchronised sqn=~12.16.0b", [Sqn]),
            {ok, Sqn};
        false -> false
    end;
resynchronised(_, _) ->
    false.

%% -- subscriptions ----------------------------------------------------------------------------------

pair(Impi, Impu) ->
    case ets:lookup(users, Impi) of
        [{_, #{impus := Impus} = User}] ->
            case lists:member(binary_to_list(Impu), Impus) of
                true -> {ok, User};
                false -> {error, ?IDENTITIES_DONT_MATCH}
            end;
        [] -> {error, ?USER_UNKNOWN}
    end.

owner(Impu) ->
    Wanted = binary_to_list(Impu),
    case [Entry || {_, #{impus := Impus}} = Entry <- ets:tab2list(users),
                   lists:member(Wanted, Impus)] of
        [Entry | _] -> Entry;
        [] -> none
    end.

%% A SAR names the user by IMPI, by IMPU or by both.
subscriber(#{'User-Name' := [Impi], 'Public-Identity' := [Impu | _]}) ->
    {Impi, pair(Impi, Impu)};
subscriber(#{'User-Name' := [Impi]}) ->
    case ets:lookup(users, Impi) of
        [{_, User}] -> {Impi, {ok, User}};
        [] -> {Impi, {error, ?USER_UNKNOWN}}
    end;
subscriber(#{'Public-Identity' := [Impu | _]}) ->
    case owner(Impu) of
        {Impi, User} -> {Impi, {ok, User}};
        none -> {<<>>, {error, ?USER_UNKNOWN}}
    end.

store(Impi, User) ->
    ets:insert(users, {Impi, User}).

config(Key) ->
    [{_, Value}] = ets:lookup(config, Key),
    Value.

%% -- commands ---------------------------------------------------------------------------------------

command(["ping"]) -> "ok";
command(["registered", Impi]) ->
    case ets:lookup(users, list_to_binary(Impi)) of
        [{_, #{server := _}}] -> "yes";
        [_] -> "no";
        [] -> "unknown"
    end;
command(["forget"]) ->
    [store(Impi, maps:remove(server, User)) || {Impi, User} <- ets:tab2list(users)],
    "ok";
command(["sqn", Impi, Hex]) ->
    [{Key, User}] = ets:lookup(users, list_to_binary(Impi)),
    store(Key, User#{sqn => list_to_integer(Hex, 16)}),
    "ok";
command(["rtr", Impi, Reason]) -> %% the whole set
    [{_, #{impus := Impus}}] = ets:lookup(users, list_to_binary(Impi)),
    command(["rtr", Impi, Reason | Impus]);
command(["rtr", Impi, Reason | Impus]) ->
    Avps = #{'Vendor-Specific-Application-Id' => application(), 'Auth-Session-State' => 1,
             'User-Name' => Impi, 'Public-Identity' => Impus,
             'Deregistration-Reason' => #{'Reason-Code' => list_to_integer(Reason),
                                          'Reason-Info' => ["administered"]}},
    Key = list_to_binary(Impi),
    case diameter:call(?SERVICE, cx, ['RTR' | Avps], [{timeout, 5000}]) of
        {ok, ['RTA' | #{'Result-Code' := [2001]}]} ->
            [{_, User}] = ets:lookup(users, Key),
            store(Key, maps:remove(server, User)),
            "ok";
        Other -> io_lib:format("failed ~0p", [Other])
    end;
command(_) -> "what".

log(Format, Args) ->
    io:format("event=" ++ Format ++ "~n", Args).

shown(Key, Avps) ->
    case maps:get(Key, Avps, <<"-">>) of
        [] -> <<"-">>;
        [Value | _] -> Value;
        Value -> Value
    end.

unhex(Text) ->
    binary:decode_hex(list_to_binary(Text)).
